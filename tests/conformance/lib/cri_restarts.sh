# shellcheck shell=bash
# containerd ends and begins again under running pods: what runs goes on, what ended meanwhile is
# told, and nothing is left in the end.

# shellcheck disable=SC2016  # the container's shell expands it
COUNTING='trap "exit 6" TERM; n=0; while :; do n=$((n + 1)); echo "line $n"; sleep 0.1; done'

# What ends while nobody looks: after a file is there, with a code.
ends_later() { printf 'while ! [ -e /wait/%s ]; do sleep 0.05; done; exit %d' "$1" "$2"; }

restarts() {
  local handler=$1 signal=$2 name=${1}-${2,,}
  NAME="$handler, SIG$signal"
  mkdir -p "$RUN_DIR/wait"
  check "$NAME: a pod is made" run_pod "$name" "$handler" '{"moat.dev/mode": "audit"}'
  [[ $HELD ]] || return 0
  check "$NAME: a container counts" launch counter . /bin/sh -c "$COUNTING"
  local counter=$ID
  check "$NAME: another will end" launch ending "$(waiting)" /bin/sh -c "$(ends_later "$name" 9)"
  local ending=$ID pid
  pid=$(pid_in "$counter")
  stop_daemon "$signal"
  check "$NAME: without containerd, the processes go on" kill -0 "$pid"
  : >"$RUN_DIR/wait/$name"
  sleep 0.5
  start_daemon
  check "$NAME: the pod is ready" equals SANDBOX_READY "$(pod_state)"
  check "$NAME: the container is the same process" equals "RUNNING 0  $pid" "$(status "$counter") $(pid_in "$counter")"
  check "$NAME: what ended meanwhile is told" becomes "$ending" "$(told_later 9)"
  check "$NAME: an exec works" equals "4|yes|" "$(in_container "$counter" 10 /bin/sh -c 'echo -n yes; exit 4')"
  check "$NAME: the log goes on" goes_on counter "$name"
  check "$NAME: and no line of it is missing" equals "" "$(missing_lines counter "$name")"
  check "$NAME: a new container starts in the old pod" launch later . /bin/sh -c 'exit 3'
  check "$NAME: and its end is told" becomes "$ID" "EXITED 3 Error"
  stop "$counter" 10
  check "$NAME: the old container ends as it wants" equals "EXITED 6 Error" "$(status "$counter")"
  check "$NAME: the pod is stopped and removed" stopped_and_removed
  check "$NAME: nothing is left: processes, mounts, cgroups, sockets, runtime state, links" pods_leave_nothing
}

# Since 1.7 containerd takes a shim whose task has no process for a leaked one, whatever its code,
# and does away with it before it asks for that.
told_later() { if [[ $CONTAINERD_VERSION == 1.6 ]]; then echo "EXITED $1 Error"; else echo "EXITED 255 Unknown"; fi; }

waiting() { jq -nr --arg path "$RUN_DIR/wait" '". + {mounts: [{container_path: \"/wait\", host_path: \($path | @json), readonly: true}]}"'; }
stopped_and_removed() { stop_pod && remove_pod; }

lines_now() { log_of "$1" "$2" | wc -l; }
more_than() { (($(lines_now "$2" "$3") > $1)); }
goes_on() { wait_until 5 more_than "$(($(lines_now "$1" "$2") + 3))" "$1" "$2"; }
# A write may be cut in two by the end of the reader.
missing_lines() {
  log_of "$1" "$2" | awk '$2 == "F" {if ($4 != last + 1) print "after", last, "comes:", $0; last = $4}'
}

restart_stories() {
  begin_cri "$@"
  local signal
  for signal in TERM KILL; do
    restarts runc "$signal"
    restarts "$(by_path)" "$signal"
  done
  conclude
}
