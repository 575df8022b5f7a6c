#!/usr/bin/env bash
# Stats, field by field as runc's shim answers them: two containers in one cgroup, one under each shim,
# are asked for the same counters. Also after the exit, until the deletion.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs}; do
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

# ask ID: ID.type, and the message as text in ID.text.
ask() {
  local id=$1 socket
  socket=$(<"$RUN_DIR/state/io.containerd.runtime.v2.task/$CTR_NAMESPACE/$id/address")
  "$MOAT_BIN/tools/shim_stats" "${socket#unix://}" "$id" >"$RUN_DIR/$id.raw"
  head -n 1 "$RUN_DIR/$id.raw" >"$RUN_DIR/$id.type"
  tail -n +2 "$RUN_DIR/$id.raw" | protoc -I "$MOAT_SOURCE" --decode "$(<"$RUN_DIR/$id.type")" \
    "shim/proto/metrics_$VERSION.proto" >"$RUN_DIR/$id.text"
}

# names ID: which fields are there; counters that only grow, and are zero or not by chance, left out.
names() { sed -E 's/: .*//' "$RUN_DIR/$1.text"; }

# steady ID: what does not move while nothing runs.
steady() { grep -E '^ *(limit|hierarchical|rss|total_rss|current|pagesize|per_cpu|oom)|\{|\}' "$RUN_DIR/$1.text" | sed '/per_cpu/s/:.*//'; }

stopped() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}' | grep -qx STOPPED; }

alive() {
  check "$1: both shims answer" both
  check "$1: in the same type" same "$RUN_DIR/stock.type" "$RUN_DIR/moat.type"
  check "$1: the type is the machine's" equals "io.containerd.cgroups.$VERSION.Metrics" "$(<"$RUN_DIR/moat.type")"
  check "$1: no field is unknown to us" nothing grep -E '^ *[0-9]+[: ]' "$RUN_DIR/stock.text"
  check "$1: the same fields are there" same <(names stock) <(names moat)
  check "$1: limits and what does not move are the same" same <(steady stock) <(steady moat)
}
both() { ask stock && ask moat; }

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
alive "while it runs"
check "much is told" test "$(names moat | wc -l)" -gt 40
check "the memory limit is told" contains "$RUN_DIR/moat.text" '67108864'

for id in stock moat; do ctr_ task kill --signal KILL "$id"; done
check "both have ended" wait_until 10 stopped moat
check "both have ended" wait_until 10 stopped stock
alive "after the exit"
ctr_ task rm stock >/dev/null 2>&1 || true
check "it answers when its group is gone" group_gone
check "which it is" equals "" "$(own_cgroups | grep /both || true)"
check "and with what was counted" contains "$RUN_DIR/moat.text" '67108864'
ctr_ task rm moat >/dev/null 2>&1 || true
conclude
