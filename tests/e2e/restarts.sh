#!/usr/bin/env bash
# A supervisor is killed at any moment, again and again, while a server attempts what it may not: it
# has a successor each time, the container lives, and nothing succeeds.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

KILLS=${MOAT_RESTARTS:-30}

health() { events "$1" 'select(.kind == "health") | .message'; }
restarts_told() { health "$1" | grep -c 'has been started again' || true; }
unanswered() { events "$1" 'select(.kind == "health") | .counts.unanswered // 0' | awk '{n += $1} END {print n + 0}'; }
numbered() { events "$1" .seq | awk '$1 != NR {print "line", NR, "has number", $1; exit 1}'; }

# restart_took ID: milliseconds from the last kill to the successor's first event.
restart_took() {
  local told
  told=$(events "$1" 'select(.kind == "health") | .time' | tail -n 1)
  echo $((($(date -d "$told" +%s%N) - $(<"$RUN_DIR/killed")) / 1000000))
}

restarted() {
  local init took
  check "supervisor: the server floods" flooding guard "$MOAT" enforce
  [[ $HELD ]] || return 0
  init=$(<"$RUN_DIR/guard.pid")
  check "a supervisor that calls wait for is killed, and has a successor" kill_supervisor guard 0.3
  check "an honest request is answered at once" quick_answer
  check "the container lives" alive "$init"
  check "the attempts go on and are refused" more_refused guard
  check "an event tells of the restart" equals 1 "$(restarts_told guard)"
  took=$(restart_took guard)
  say "        the successor serves after $took ms"
  check "it serves within 200 ms" test "$took" -le 200
  check "the phase is the one that was in force" equals serve "$(events guard .phase.name | tail -n 1)"
  check "moatctl counts on" test "$(moatctl_violations guard)" -gt 40
  check "a session works" equals session "$(ctr_ task exec --exec-id s1 guard /bin/sh -c 'echo session')"
  check "the supervisor is killed $KILLS times, at random" killed_often guard
  check "each time it has a successor that tells so" wait_until 5 restarts_are guard "$((KILLS + 1))"
  check "some attempts were refused for a lost one" test "$(unanswered guard)" -gt 0
  check "the container lives" alive "$init"
  check "an honest request is answered at once" quick_answer
  check "the attempts go on and are refused" more_refused guard
  check "events are numbered without gaps" numbered guard
  check "not one effect" nothing effects guard
  check "not one attempt succeeded" nothing grep ' result=ok$' "$RUN_DIR/guard.out"
  stop_container guard "$CTR_PID"
  check "nothing is left of it" leaves_nothing_of_moat
}

restarts_are() { [[ $(restarts_told "$1") == "$2" ]]; }
moatctl_violations() { "$MOAT_BIN/moatctl" ps -o json | jq -r --arg id "$1" '.. | objects | select(.id? == $id) | .violations' | head -n 1; }

# Below the bound of a crash loop: ten in ten seconds.
killed_often() {
  local i
  for ((i = 0; i < KILLS; i++)); do
    kill_supervisor "$1" || { echo "no successor after kill $i"; return 1; }
    sleep "1.0$((RANDOM % 90 + 10))"
  done
}

begin_e2e "$@"
make_image
restarted
conclude
