#!/usr/bin/env bash
# Containers that come and go leave nothing on the node, and no trace in the shim that outlives them.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

GROUP=(--annotation io.containerd.runc.v2.group=pod)
ROUNDS=10

# one ID MODE: a container that reads its model and ends.
# shellcheck disable=SC2016  # $line belongs to the shell inside
one() {
  local id=$1
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run --rm --rootfs --runtime "$MOAT" --fifo-dir "$RUN_DIR/fifo" "${GROUP[@]}" \
    --mount "type=bind,src=$WORLD/models,dst=/models,options=rbind:ro" \
    --annotation "moat.dev/mode=$2" --annotation moat.dev/model-paths=/models \
    "$IMAGE" "$id" /bin/sh -c 'read -r line </models/model.bin; echo "read $line"' 2>&1 </dev/null
}

# rounds FROM TO: in each a supervised one and one that is not. Prints the failures.
rounds() {
  local i
  for ((i = $1; i < $2; i++)); do
    [[ $(one "e$i" enforce) == "read request:1 main honest" ]] || echo "e$i: $(tail -n 1 "$RUN_DIR/containerd.log")"
    [[ $(one "o$i" off) == "read request:1 main honest" ]] || echo "o$i: $(tail -n 1 "$RUN_DIR/containerd.log")"
  done
}

# belongings PID: what a process holds.
belongings() {
  find "/proc/$1/fd" -mindepth 1 -printf '%l\n' 2>/dev/null | sed 's/[0-9]\+/N/g' | sort | uniq -c
  awk '/^Threads/ {print $1, $2}' "/proc/$1/status"
}

children() { pgrep -P "$(shim_of pod)" | wc -l; }

everything() {
  leftovers | sed 's/^process [0-9]* /process /'
  belongings "$(shim_of pod)" | sed 's/^/shim /'
  belongings "$(supervisor_of pod)" | sed 's/^/supervisor /'
  belongings "$(keeper_of pod)" | sed 's/^/keeper /'
}

resident() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
settled() { everything >"$RUN_DIR/now" && cmp -s "$RUN_DIR/now" "$RUN_DIR/before"; }

begin_e2e "$@"
make_image
# The pod's own container stays while the others come and go.
start_server pod "$MOAT" enforce "${GROUP[@]}" < <(echo request:1 main honest)
check "the pod serves" wait_for pod '^listening$'
[[ $HELD ]] || conclude
check "two containers come and go" nothing rounds 0 1
everything >"$RUN_DIR/before"
check "the shim, its supervisor and its keeper are looked at" equals 3 "$(grep -cE '^(shim|supervisor|keeper) Threads' "$RUN_DIR/before")"
memory=$(resident "$(shim_of pod)")
check "$((2 * ROUNDS)) containers come and go in the pod's shim" nothing rounds 1 $((ROUNDS + 1))
check "one shim serves them all" equals 1 "$(pids_with -namespace "$CTR_NAMESPACE" | wc -l)"
wait_until 5 settled || true
check "processes, mounts, cgroups, files and descriptors are as before" same "$RUN_DIR/before" "$RUN_DIR/now"
check "no child of the shim is left but the pod, its supervisor and its keeper" equals 3 "$(children)"
grown=$(($(resident "$(shim_of pod)") - memory))
say "        the shim's resident memory has changed by $grown kB"
check "its memory does not grow with them" test "$grown" -lt 2048
check "the pod still answers" predict 5
stop_container pod "$CTR_PID"
check "nothing is left of the pod" leaves_nothing
conclude
