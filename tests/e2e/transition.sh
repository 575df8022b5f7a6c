#!/usr/bin/env bash
# The steps from `init` to `load` under faults, each at its place: the artifact's open is refused, no
# mount stays half way, `init` goes on, it is said once what was in the way; and the next try works.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# begin ID [server option...]
begin() {
  local id=$1
  shift
  start_server "$id" "$MOAT" enforce -- "$@" --retry < <(orders append load)
}

messages() { events "$1" 'select(.kind == "health") | .message'; }
failures() { messages "$1" | grep -c 'transition to load failed' || true; }
dead() { ! alive "$(<"$RUN_DIR/$1.pid")"; }
word() { kill -USR1 "$(<"$RUN_DIR/$1.pid")"; }

# tripped ID ROLE CALL N ACTION: the server goes on to its artifact, and what works at its transition
# (ROLE: a helper's; -: the shim itself) is killed, stopped or failed at its Nth CALL.
tripped() {
  local id=$1
  "$MOAT_BIN/tools/trip" "$(shim_of "$id")" "${@:2}" >"$RUN_DIR/$id.trip" &
  TRIP=$!
  wait_until 5 grep -q ready "$RUN_DIR/$id.trip" || return 1
  word "$id"
  wait_until 5 gone "$TRIP" || { kill "$TRIP"; return 1; }
  wait "$TRIP"
}
helper_of() { sed -n 2p "$RUN_DIR/$1.trip"; }

# recovers ID REASON: it was refused once for that reason, undone, and the next try works.
recovers() {
  local id=$1
  check "$id: the artifact is refused" wait_for "$id" '^attempt open_model .*errno='
  check "$id: what was writable in init is so again" wait_for "$id" '^honest init_again result=ok'
  check "$id: the next try works" wait_for "$id" '^listening$'
  check "$id: one health event says that it failed" equals 1 "$(failures "$id")"
  check "$id: ... and why" contains <(messages "$id") "$2"
  check "$id: the payload is refused" wait_for "$id" '^attempt append .*errno='
  check "$id: load is entered once" equals 1 "$(phases_of "$id" | grep -ow load | wc -l)"
  stop_container "$id" "$CTR_PID"
}

stuck() {
  begin stuck --hold connect
  check "stuck: a thread is stuck in a connect" wait_for stuck '^honest hold_connect result=ok'
  recovers stuck 'failed: open before: still inside a call that only init allows: connect in model_server \(pid [0-9]+, thread [0-9]+\)'
}

slow() {
  begin slow --hold slow-connect
  check "slow: a call that ends in time is waited for" wait_for slow '^listening$'
  check "slow: the artifact was not refused" equals "" "$(grep open_model "$RUN_DIR/slow.out" || true)"
  stop_container slow "$CTR_PID"
}

told() {
  begin told --hold memfd --hold queue
  check "told: the server listens" wait_for told '^listening$'
  check "told: one event lists what is open" equals 1 "$(messages told | grep -c '^open from before: ')"
  check "told: the executable memory file" contains <(messages told) 'model_server \(pid [0-9]+\) has the executable memory file /memfd:tool'
  check "told: the message queue" contains <(messages told) 'has /held open for writing'
  stop_container told "$CTR_PID"
}

# A step fails in the middle: what it has done until then is undone with the rest.
broken() {
  local id=$1 reason=$2
  shift 2
  begin "$id" --await
  check "$id: the server waits" wait_for "$id" '^init done$'
  check "$id: it is broken in the middle" tripped "$id" "$@"
  recovers "$id" "failed: $reason"
}

# A helper that hangs is killed at its deadline.
hung_helper() {
  begin hung --await
  check "hung: the server waits" wait_for hung '^init done$'
  check "hung: what flips its mounts stops after two of them" tripped hung transition mount_setattr 3 stop
  sleep 1
  check "hung: the artifact waits meanwhile" equals "" "$(grep -E 'open_model|listening' "$RUN_DIR/hung.out" || true)"
  recovers hung 'failed: read-only mounts: the read-only flip did not end in time'
}

# The supervisor dies while the open waits: it is refused, and the successor sees the steps to their end.
lost_supervisor() {
  begin lost --await
  check "lost: the server waits" wait_for lost '^init done$'
  check "lost: what flips its mounts stops" tripped lost transition mount_setattr 3 stop
  check "lost: the supervisor is killed and has a successor" kill_supervisor lost
  check "lost: the artifact is refused" wait_for lost '^attempt open_model .*errno='
  kill -CONT "$(helper_of lost)"
  check "lost: the next try works" wait_for lost '^listening$'
  check "lost: the payload is refused" wait_for lost '^attempt append .*errno='
  check "lost: load is entered once" equals 1 "$(phases_of lost | grep -ow load | wc -l)"
  stop_container lost "$CTR_PID"
}

# The shim dies between the steps: nobody is left to end them, so that the container ends.
lost_shim() {
  begin orphan --await
  check "orphan: the server waits" wait_for orphan '^init done$'
  check "orphan: what flips its mounts stops" tripped orphan transition mount_setattr 3 stop
  killed orphan shim
  check "orphan: the container is dead within 1 s" wait_until 1 dead orphan
  kill -CONT "$CONTAINERD_PID"
  kill -KILL "$(helper_of orphan)" 2>/dev/null || true
  check "orphan: its artifact was never opened" equals "" "$(grep -E '^(listening|attempt append)' "$RUN_DIR/orphan.out" || true)"
  stop_container orphan "$CTR_PID"
}

begin_e2e "$@"
make_image
stuck
slow
told
broken killed 'read-only mounts: the helper ended with 137' transition mount_setattr 3 kill
broken marks 'marks: permission mark on mount' - fanotify_mark 3 fail
broken network 'network: ' - bpf 1 fail
broken looking 'open before: the helper ended with 137' settle openat 8 kill
hung_helper
lost_supervisor
lost_shim
conclude
