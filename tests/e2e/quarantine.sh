#!/usr/bin/env bash
# The reactions that concern the whole container. `quarantine`: what tries the forbidden is frozen as
# it stands, for somebody to look at; clients see a paused container, which they may resume or kill.
# `terminate`: it is killed.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

status_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}'; }
is_status() { [[ $(status_of "$1") == "$2" ]]; }

# serve ID [POLICY]: a server whose artifact tries to connect at the first request.
serve() {
  start_server "$1" "$MOAT" none --annotation moat.dev/mode=enforce --annotation "moat.dev/profile=node/${2:-jail}" \
    --annotation moat.dev/model-paths=/models < <(echo request:1 main tcp)
  wait_for "$1" '^listening$' && wait_for_phase "$1" serve
}

client_ends_with() {
  local status=0
  wait_until 5 gone "$CTR_PID" || return 1
  wait "$CTR_PID" || status=$?
  equals "$1" "$status"
}

begin_e2e "$@"
make_image
cat >"$MOAT_POLICY_DIR/jail.yaml" <<'END'
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: jail}
spec:
  extends: [builtin/python]
  onViolation: quarantine
END
check "a server serves" serve jailed
predict 3 >"$RUN_DIR/answer" &
asking=$!
check "its attempt freezes it" wait_until 5 is_status jailed PAUSED
check "and is reported" equals 1 "$(count_kind jailed violation)"
wait "$asking" || true
check "nothing reached the network" equals "" "$(<"$WORLD/canary")"
check "what it was about can be looked at" contains "/proc/$(<"$RUN_DIR/jailed.pid")/status" '^Name:'
check "no exec enters it" contains <(ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id x jailed /bin/sh 2>&1) 'cannot exec in a paused state'
ctr_ task resume jailed
check "a client may let it go on" is_status jailed RUNNING
check "and it answers" test -n "$(predict)"
stop_container jailed "$CTR_PID"
check "another one" serve second
predict 3 >"$RUN_DIR/answer" || true
check "is frozen, too" wait_until 5 is_status second PAUSED
init=$(<"$RUN_DIR/second.pid")
ctr_ task kill --signal KILL second
check "and can be killed" wait_until 5 gone "$init"

# terminate: the container is killed, and it is said why.
sed 's/jail}/end}/; s/quarantine/terminate/' "$MOAT_POLICY_DIR/jail.yaml" >"$MOAT_POLICY_DIR/end.yaml"
check "a server whose policy ends it" serve ended end
init=$(<"$RUN_DIR/ended.pid")
predict 3 >"$RUN_DIR/answer" || true
check "its attempt ends it" wait_until 5 gone "$init"
check "clients see a kill" client_ends_with 137
check "the report says what was done" equals terminated "$(events ended 'select(.kind == "violation") | .action' | sort -u)"
check "and one health event why" equals 1 "$(events ended 'select(.kind == "health") | .message' | grep -c "its policy's reaction")"
conclude
