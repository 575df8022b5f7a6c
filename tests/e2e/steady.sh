#!/usr/bin/env bash
# A server that serves costs its supervisor nothing: ten thousand ordinary requests are no question,
# no open and no wake-up. One request that is not ordinary is counted, so that the counters are known
# to count.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

REQUESTS=10000
PLACES=(main)

counter() { "$MOAT_BIN/moatctl" ps -o json | jq -r --arg id steady --arg key "$1" '.[] | select(.id == $id) | .[$key]'; }

# How often the threads of a process were given a core.
turns() { cat /proc/"$1"/task/*/status | awk '/ctxt_switches:/ {n += $2} END {print n + 0}'; }

serves() {
  start_server steady "$MOAT" enforce < <(orders honest request:1) && wait_for steady '^listening$' &&
    wait_for_phase steady serve
}

# What moatctl's own question woke has gone back to sleep.
count() {
  SUPERVISOR=$(supervisor_of steady)
  NOTIFIED=$(counter notifications) OPENED=$(counter open_events)
  sleep 1
  TURNS=$(turns "$SUPERVISOR")
}

more() { echo "$(($(turns "$SUPERVISOR") - TURNS)) wake-ups, $(($(counter notifications) - NOTIFIED)) notifications, $(($(counter open_events) - OPENED)) opens"; }

ask() { in_net "$MOAT_BIN/tools/http_load" "$PORT" "$@"; }

counted() {
  count
  check "a request that opens files and makes a process is answered" predict
  check "and its notifications are counted" test "$(counter notifications)" -gt "$NOTIFIED"
  check "and its opens" test "$(counter open_events)" -gt "$OPENED"
  check "and its wake-ups" test "$(turns "$SUPERVISOR")" -gt "$TURNS"
}

ordinary() {
  check "ordinary requests are answered" ask /healthz 100 4
  count
  check "$REQUESTS ordinary requests are answered" ask /healthz "$REQUESTS" 4
  say "        $(<"$RUN_DIR/check.out")"
  check "of which the supervisor hears nothing" equals "0 wake-ups, 0 notifications, 0 opens" "$(more)"
  check "because it is there, and the container in serve" equals "$SUPERVISOR serve" "$(counter supervisor_pid) $(counter phase)"
}

begin_e2e "$@"
[[ -x $MOAT_BIN/tools/http_load ]] || die "$MOAT_BIN/tools/http_load is not built; run tests/run.sh --build-only" 2
make_image
check "the server serves in enforce" serves
if [[ $HELD ]]; then
  counted
  ordinary
fi
stop_container steady "$CTR_PID"
conclude
