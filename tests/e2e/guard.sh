#!/usr/bin/env bash
# Shim, supervisor and keeper guard each other: whichever of them is killed, alone or with another,
# while a server attempts what it may not, nothing it attempts succeeds. A supervisor has a
# successor; without a shim, or without both others, the container ends.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

KILLS=${MOAT_GUARD_KILLS:-30}

alive() { ! gone "$1" && ! zombie "$1"; }

health() { events "$1" 'select(.kind == "health") | .message'; }
restarts_told() { health "$1" | grep -c 'has been started again' || true; }
unanswered() { events "$1" 'select(.kind == "health") | .counts.unanswered // 0' | awk '{n += $1} END {print n + 0}'; }
numbered() { events "$1" .seq | awk '$1 != NR {print "line", NR, "has number", $1; exit 1}'; }

# more_refused ID: the attempts go on, and are refused by who is there now.
more_refused() {
  local before
  before=$(count_kind "$1" violation)
  wait_until 5 more_than "$1" "$((before + 20))"
}
more_than() { (($(count_kind "$1" violation) > $2)); }

quick_answer() { predict 0.2 >"$RUN_DIR/answer" || { echo "no answer within 200 ms"; return 1; }; }

restarted() {
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
    sleep "1.$((RANDOM % 300 + 100))"
  done
}

guards_of() { echo "$(shim_of "$1" | wc -w) $(supervisor_of "$1" | wc -w) $(keeper_of "$1" | wc -w)"; }
guarded() { [[ $(guards_of "$1") == "1 1 1" ]]; }

private_memory() { awk '/^Private_(Clean|Dirty)/ {n += $2} END {print n}' "/proc/$1/smaps_rollup"; }

# ends WHO...: the container does not outlive them, nor does what is left of moat.
ends() {
  local id others pid
  id=$(IFS=-; echo "$*")
  check "$id: the server floods" flooding "$id" "$MOAT" enforce
  [[ $HELD ]] || return 0
  check "$id: shim, supervisor and keeper are there" wait_until 5 guarded "$id"
  others=$(shim_of "$id"; supervisor_of "$id"; keeper_of "$id")
  killed "$id" "$@"
  check "$id: the container is dead within 1 s" dead_within "$id" 1
  for pid in $others; do
    check "$id: what is left of moat ends by itself" gone_within "$pid" 2
  done
  kill -CONT "$CONTAINERD_PID"
  nothing_happened "$id"
  stop_container "$id" "$CTR_PID"
  check "$id: nothing is left of it" leaves_nothing_of_moat
}

# stays WHO...: those are replaced, and the container lives.
stays() {
  local id init
  id=$(IFS=-; echo "$*")
  check "$id: the server floods" flooding "$id" "$MOAT" enforce
  [[ $HELD ]] || return 0
  init=$(<"$RUN_DIR/$id.pid")
  check "$id: shim, supervisor and keeper are there" wait_until 5 guarded "$id"
  killed "$id" "$@"
  kill -CONT "$CONTAINERD_PID"
  check "$id: they are replaced" wait_until 5 guarded "$id"
  check "$id: the container lives" alive "$init"
  check "$id: an honest request is answered at once" quick_answer
  check "$id: the attempts go on and are refused" more_refused "$id"
  killed "$id" shim supervisor
  check "$id: the new keeper knows what the old one did" dead_within "$id" 1
  kill -CONT "$CONTAINERD_PID"
  nothing_happened "$id"
  stop_container "$id" "$CTR_PID"
  check "$id: nothing is left of it" leaves_nothing_of_moat
}

# Of moat or its containers; the client's FIFOs are its own affair.
left_of_moat() { leftovers | grep -v "^file $RUN_DIR/fifo/"; }
nothing_left() { [[ -z $(left_of_moat) ]]; }
leaves_nothing_of_moat() { wait_until 5 nothing_left || nothing left_of_moat; }

# small: the keeper, once it has begun to wait.
small() {
  local pid memory
  check "memory: the server floods" flooding memory "$MOAT" enforce
  check "memory: there is a keeper" wait_until 5 guarded memory
  sleep 1.2
  pid=$(keeper_of memory)
  memory=$(private_memory "$pid")
  say "        the keeper's own memory: $memory kB"
  check "the keeper has at most 300 kB of its own" test "$memory" -le 300
  stop_container memory "$CTR_PID"
  check "the keeper ends with the last container" gone_within "$pid" 2
}

# deleted_by_runtime: all of moat is killed, and the daemon does not clean up; only the runtime is told.
deleted_by_runtime() {
  check "deleted: the server floods" flooding deleted "$MOAT" enforce
  check "deleted: shim, supervisor and keeper are there" wait_until 5 guarded deleted
  check "deleted: there is something to leave behind" equals "json sock" "$(state_files | sort | paste -sd' ')"
  killed deleted shim supervisor keeper
  check "the runtime deletes what nobody guards" env PATH="$TOOLS_PATH:$PATH" \
    runc --root "/run/containerd/runc/$CTR_NAMESPACE" delete --force deleted
  check "its hook leaves nothing in the state folder" nothing state_files
  kill -CONT "$CONTAINERD_PID"
  stop_container deleted "$CTR_PID"
  check "deleted: nothing is left of it" leaves_nothing_of_moat
}

begin_e2e "$@"
make_image
small
ends shim
ends shim supervisor
ends shim keeper
stays keeper
stays supervisor keeper
deleted_by_runtime
restarted
conclude
