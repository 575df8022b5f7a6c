#!/usr/bin/env bash
# Supervisors are killed at any moment, again and again, while servers attempt what they may not: each
# has a successor, the containers live, nothing succeeds, and what is honest waits no longer than the
# restart takes. MOAT_RESTARTS: how often, of MOAT_SERVERS side by side.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood} attack/lib/stress; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

KILLS=${MOAT_RESTARTS:-200}
SERVERS=${MOAT_SERVERS:-10}
# From a kill to the first answer after it, milliseconds: of one restart on a machine at work, and of
# the slowest of many while others restart on its two processors, too.
ONE_RESTART=100
ANY_RESTART=1000

health() { events "$1" 'select(.kind == "health") | .message'; }
restarts_told() { health "$1" | grep -c 'has been started again' || true; }
restarts_are() { [[ $(restarts_told "$1") == "$2" ]]; }
unanswered() { events "$1" 'select(.kind == "health") | .counts.unanswered // 0' | awk '{n += $1} END {print n + 0}'; }
numbered() { events "$1" .seq | awk '$1 != NR {print "line", NR, "has number", $1; exit 1}'; }
moatctl_violations() { "$MOAT_BIN/moatctl" ps -o json | jq -r --arg id "$1" '.. | objects | select(.id? == $id) | .violations' | head -n 1; }

# A server whose threads never pause: calls wait whenever the supervisor is killed.
flooded() {
  local init
  check "supervisor: the server floods" flooding guard "$MOAT" enforce
  [[ $HELD ]] || return 0
  init=$(<"$RUN_DIR/guard.pid")
  check "a supervisor that calls wait for is killed, and has a successor" kill_supervisor guard 0.3
  check "an honest request is answered at once" quick_answer
  check "the container lives" alive "$init"
  check "the attempts go on and are refused" more_refused guard
  check "an event tells of the restart" equals 1 "$(restarts_told guard)"
  check "the phase is the one that was in force" equals serve "$(events guard .phase.name | tail -n 1)"
  check "moatctl counts on" test "$(moatctl_violations guard)" -gt 40
  check "a session works" equals session "$(ctr_ task exec --exec-id s1 guard /bin/sh -c 'echo session')"
  check "some attempts were refused for a lost one" test "$(unanswered guard)" -gt 0
  check "not one effect" nothing effects guard
  check "not one attempt succeeded" nothing grep ' result=ok$' "$RUN_DIR/guard.out"
  stop_container guard "$CTR_PID"
}

# measured: one server, one kill at a time: how long what it asks has to wait. The median, since the
# machine does other things as well.
measured() {
  local i id took=()
  for i in 1 2 3 4 5; do
    id=one$i
    stressed "$id" -- mixed
    check "$id: the server works" working "$id" '^working'
    [[ $HELD ]] || return 0
    kill_supervisor "$id" || true
    sleep 0.3
    stop_container "$id" "$CTR_PID"
    nothing_got_through "$id"
    took+=("$(longest "$id")")
  done
  i=$(printf '%s\n' "${took[@]}" | sort -n | sed -n 3p)
  say "        from a kill to the answer of who waited: ${took[*]} ms"
  check "a supervisor has a successor that answers within $ONE_RESTART ms" test "$i" -le "$ONE_RESTART"
}

# killed_often ID TIMES: below the bound of a crash loop, which is ten in ten seconds.
killed_often() {
  local i shim killed=
  shim=$(shim_of "$1")
  for ((i = 0; i < $2; i++)); do
    wait_until 5 child_supervisor_succeeds "$shim" "$killed" || { echo "no successor after kill $i"; return 1; }
    killed=$CHILD
    kill -KILL "$killed"
    sleep "1.0$((RANDOM % 90 + 10))"
  done
}

# side_by_side: the servers' supervisors are killed at random; what each said is in ID.killed.
side_by_side() {
  local i id times=$((KILLS / SERVERS)) clients=() killers=()
  for ((i = 1; i <= SERVERS; i++)); do
    stressed "many$i" -- mixed --pace 10000
    clients+=("$CTR_PID")
    check "many$i: the server works" working "many$i" '^working'
  done
  for ((i = 1; i <= SERVERS; i++)); do
    killed_often "many$i" "$times" >"$RUN_DIR/many$i.killed" 2>&1 &
    killers+=("$!")
  done
  wait "${killers[@]}" || true
  for ((i = 1; i <= SERVERS; i++)); do
    id=many$i
    check "$id: after each of $times kills there is a successor" nothing cat "$RUN_DIR/$id.killed"
    check "$id: each tells so" wait_until 5 restarts_are "$id" "$times"
    check "$id: the container lives" alive "$(<"$RUN_DIR/$id.pid")"
    check "$id: events are numbered without gaps" numbered "$id"
    stop_container "$id" "${clients[i - 1]}"
    nothing_got_through "$id"
    say "        $id: $(fared "$id" honest calls) honest calls, $(fared "$id" honest failed) refused for a lost supervisor, $(longest "$id") ms the longest"
    check "$id: no honest call waits or fails for longer than a restart" test "$(longest "$id")" -le "$ANY_RESTART"
  done
  check "nothing is left of them" leaves_nothing_of_moat
}

begin_e2e "$@"
make_image
flooded
measured
side_by_side
conclude
