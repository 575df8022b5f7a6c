#!/usr/bin/env bash
# A device node that a phase does not list: not opened by any name, and not made; in the phases that
# list it, and in sessions, it is. What sees to it outlives shim and supervisor.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

PLACES=(main thread)
REFUSED=(dev_kmsg dev_alias dev_held dev_make dev_make_only)
USUAL=(dev_null dev_terminal)

# The node is the container's, the runtime's own list has it, and the kernel's log may be read.
serve_with() {
  start_server "$1" "$MOAT" none --annotation "moat.dev/mode=$2" --device /dev/kmsg --cap-add CAP_SYSLOG \
    --annotation "moat.dev/profile=$3" --annotation moat.dev/model-paths=/models \
    -- --first dev_kmsg
  wait_for "$1" '^listening$' || return 1
  wait_for_phase "$1" serve || return 1
  predict >"$RUN_DIR/answer"
}

make_policies() {
  cat >"$MOAT_POLICY_DIR/loads.yaml" <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: loads}
spec:
  extends: [builtin/python]
  phases:
    load:
      device: {access: ["+", /dev/kmsg]}
END
}

everything() { for one in "${REFUSED[@]}" "${USUAL[@]}"; do orders "$one" load request:1; done; }
results() { sed -nE "s/^attempt ($2) phase=($3) place=[a-z]+ (.*)/\1 \3/p" "$RUN_DIR/$1.out" | sort -u; }
each() { for one in "${@:2}"; do echo "$one $1"; done | sort; }
any() { paste -sd'|' <<<"${*// /|}" | tr ' ' '|'; }
told() {
  events "$1" 'select(.kind == $kind and .rule.id == $rule) | "\(.process.comm) \(.object.path // .object.name)"' \
    --arg kind "$2" --arg rule "$3.device.access" | sort -u
}
objects() {
  printf '%s\n' "dev_alias /dev/kmsg" "dev_held /dev/kmsg" "dev_kmsg /dev/kmsg" "dev_make /dev/kmsg" "dev_make_only c 10:237"
}

enforced() {
  check "enforce: the server loads, listens and answers" serve_with enforce enforce builtin/python < <(everything)
  [[ $HELD ]] || { stop_container enforce "$CTR_PID"; return; }
  check "enforce: init opens the node" equals "dev_kmsg result=ok" "$(results enforce dev_kmsg init)"
  for phase in load serve; do
    check "enforce: it is opened by no name in $phase, and none is made" same \
      <(each errno=EPERM "${REFUSED[@]}") <(results enforce "$(any "${REFUSED[*]}")" "$phase")
    check "enforce: null and terminals are as ever in $phase" same \
      <(each result=ok "${USUAL[@]}") <(results enforce "$(any "${USUAL[*]}")" "$phase")
    check "enforce: each is reported in $phase, with the device" same <(objects) <(told enforce violation "$phase")
  done
  check "enforce: a session opens it" equals "attempt dev_kmsg phase=session place=main result=ok" \
    "$(ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id probe enforce /bin/model_server try dev_kmsg)"
  check "enforce: what was opened in init is told, and nothing is amiss" equals "has /dev/kmsg open" \
    "$(events enforce 'select(.kind == "health") | .message' | grep -o 'has /dev/kmsg open$')"
  check "enforce: in one event" equals 1 "$(events enforce 'select(.kind == "health") | .id' | wc -l)"
  stop_container enforce "$CTR_PID"
}

by_phase() {
  check "listed: the server loads, listens and answers" serve_with listed enforce node/loads < <(everything)
  check "listed: what load lists is opened there, and made" same \
    <(each result=ok dev_alias dev_held dev_kmsg) <(results listed 'dev_alias|dev_held|dev_kmsg' load)
  check "listed: a node in a scratch place is made, but opens nothing" equals "dev_make errno=EACCES" "$(results listed dev_make load)"
  check "listed: the device beside it is not" equals "dev_make_only errno=EPERM" "$(results listed dev_make_only load)"
  check "listed: nor is it opened once the server serves" same \
    <(each errno=EPERM "${REFUSED[@]}") <(results listed "$(any "${REFUSED[*]}")" serve)
  stop_container listed "$CTR_PID"
}

watched() {
  check "audit: the server loads, listens and answers" serve_with audit audit builtin/python < <(everything)
  check "audit: nothing is refused" nothing grep -E 'attempt .*errno=EPERM' "$RUN_DIR/audit.out"
  check "audit: no violation" equals 0 "$(count_kind audit violation)"
  check "audit: each is reported" same <(objects) <(told audit would_deny load)
  stop_container audit "$CTR_PID"
}

# Nobody is left that could decide anything; the program at the cgroup does.
alone() {
  PLACES=(forever)
  check "crash: the server loads and serves" serve_with alone enforce builtin/python < <(orders dev_kmsg request:1)
  local pid keeper shim
  pid=$(<"$RUN_DIR/alone.pid") keeper=$(keeper_of alone) shim=$(shim_of alone)
  kill -STOP "$CONTAINERD_PID" "$keeper"
  # shellcheck disable=SC2046,SC2086
  kill -KILL $(supervisor_of alone) $shim
  sleep 0.5
  check "crash: the container lives on without shim and supervisor" kill -0 "$pid"
  check "crash: the last phase is still in force" nothing grep 'phase=serve' "$RUN_DIR/alone.out"
  kill -CONT "$keeper" "$CONTAINERD_PID"
  check "crash: the container is ended" wait_until 10 gone "$pid"
  stop_container alone "$CTR_PID"
}

begin_e2e "$@"
make_image
make_policies
enforced
by_phase
watched
alone
conclude
