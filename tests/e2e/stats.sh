#!/usr/bin/env bash
# Stats, field by field as runc's shim answers them: two containers in one cgroup, one under each shim,
# are asked for the same counters. Also after the exit, until the deletion.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs,stats}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

end_world() { :; }

# run SHIM ID [ctr option...] -- COMMAND...
run() {
  local runtime=io.containerd.$1.v2 id=$2 options=()
  shift 2
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run -d --runtime "$runtime" --annotation moat.dev/mode=off --env PATH=/bin --fifo-dir "$RUN_DIR/fifo" \
    "${options[@]}" --rootfs "$RUN_DIR/rootfs" "$id" "$@"
}

stopped() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}' | grep -qx STOPPED; }

# The group of the ended container is removed under it, as systemd does.
group_gone() {
  local group
  for group in $(own_cgroups); do rmdir "$group" || true; done
  ask moat
}

begin_e2e "$@"
type -P protoc >/dev/null || die "protoc is not installed; run tests/run.sh --build-only" 2
VERSION=v1
[[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]] || VERSION=v2
small_rootfs "$RUN_DIR/rootfs"

GROUP=(--cgroup "/$CTR_NAMESPACE/both" --memory-limit 67108864)
run runc stock "${GROUP[@]}" -- /bin/sleep 1000
run moat moat "${GROUP[@]}" -- /bin/sleep 1000
# shellcheck disable=SC2016  # for the shell in there
ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id burn moat /bin/sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done'
same_stats "while it runs"
check "much is told" test "$(names moat | wc -l)" -gt 40
check "the memory limit is told" contains "$RUN_DIR/moat.text" '67108864'

for id in stock moat; do ctr_ task kill --signal KILL "$id"; done
check "both have ended" wait_until 10 stopped moat
check "both have ended" wait_until 10 stopped stock
same_stats "after the exit"
ctr_ task rm stock >/dev/null 2>&1 || true
check "it answers when its group is gone" group_gone
check "which it is" equals "" "$(own_cgroups | grep /both || true)"
check "and with what was counted" contains "$RUN_DIR/moat.text" '67108864'
ctr_ task rm moat >/dev/null 2>&1 || true
conclude
