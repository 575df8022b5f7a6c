#!/usr/bin/env bash
# containerd dies and comes back while containers run, write and end: they notice nothing, and it
# learns everything.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs,leftovers}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

COUNT='i=0; while :; do i=$((i + 1)); echo "line $i"; sleep 0.01; done'
LOOP='trap "exit 5" TERM; while :; do sleep 0.1; done'

begin() {
  need_root "$@"
  fetch_tools
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  start_containerd "$RUN_DIR"
}
end_world() { :; }

# run ID [ctr option...] -- COMMAND...
run() {
  local id=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run -d --runtime io.containerd.moat.v2 --annotation "moat.dev/mode=$MODE" --env PATH=/bin \
    --fifo-dir "$RUN_DIR/fifo" "${options[@]}" --rootfs "$RUN_DIR/rootfs" "$id" "$@" >"$RUN_DIR/ctr.out" 2>&1 </dev/null
}

task() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3, $2}'; }
is_task() { [[ $(task "$1") == "$2" ]]; }
pid_of() { task "$1" | cut -d' ' -f2; }

kill_containerd() {
  kill -KILL "$CONTAINERD_PID"
  wait "$CONTAINERD_PID" 2>/dev/null || true
}

lines() { wc -l <"$1"; }
more_lines() { [[ -e $1 ]] && (($(lines "$1") > $2)); }
# Every line is its predecessor's successor.
consecutive() { awk '$2 != last + 1 && NR > 1 {print "after " last ": " $0} {last = $2}' "$1"; }

# scenario MODE
scenario() {
  local kept ended filed written
  MODE=$1
  run "kept$MODE" -- /bin/sh -c "$LOOP"
  run "ended$MODE" -- /bin/sh -c "$LOOP"
  run "filed$MODE" --log-uri "file://$RUN_DIR/$MODE.log" -- /bin/sh -c "$COUNT"
  run "piped$MODE" -- /bin/sh -c "$COUNT"
  kept=$(pid_of "kept$MODE") ended=$(pid_of "ended$MODE") filed=$(pid_of "filed$MODE")
  read_lines & local reader=$!
  wait_until 5 more_lines "$RUN_DIR/$MODE.piped" 20 || true
  kill_containerd
  written=$(lines "$RUN_DIR/$MODE.log")
  kill -TERM "$ended"
  check "$MODE: without containerd its containers run" kill -0 "$kept" "$filed"
  check "$MODE: one that writes to a file goes on writing" wait_until 5 more_lines "$RUN_DIR/$MODE.log" $((written + 20))
  touch "$RUN_DIR/$MODE.stop"
  wait "$reader"
  launch_containerd
  check "$MODE: back again it finds them running" wait_until 10 is_task "kept$MODE" "RUNNING $kept"
  check "$MODE: and knows who has ended meanwhile" wait_until 5 is_task "ended$MODE" "STOPPED $ended"
  check "$MODE: with what code" contains <(ctr_ task rm "ended$MODE" 2>&1) 'non-zero exit code 5'
  check "$MODE: an exec works" equals "in exec" \
    "$(ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id x1 "kept$MODE" /bin/echo in exec)"
  check "$MODE: no line of the file is lost" nothing consecutive "$RUN_DIR/$MODE.log"
  check "$MODE: who wrote to a pipe lives, and is read on" reads_on
  check "$MODE: not one line of it is lost while nobody read" nothing consecutive "$RUN_DIR/$MODE.piped"
  for id in kept filed piped; do ctr_ task rm --force "$id$MODE" >/dev/null 2>&1 || true; done
  ctr_ container rm {kept,ended,filed,piped}"$MODE" >/dev/null
  check "$MODE: after their removal no shim is left" wait_until 8 no_shim
}

# A reader that is killed takes along what it has read and not written: this one ends by itself.
read_lines() {
  local line
  while [[ ! -e $RUN_DIR/$MODE.stop ]] && read -r line; do echo "$line"; done \
    <"$(echo "$RUN_DIR"/fifo/*/"piped$MODE-stdout")" >>"$RUN_DIR/$MODE.piped"
}

# As containerd's clients do when they come back: from where the last one ended.
reads_on() {
  local before
  before=$(lines "$RUN_DIR/$MODE.piped")
  timeout 2 cat "$RUN_DIR"/fifo/*/"piped$MODE-stdout" >>"$RUN_DIR/$MODE.piped" || true
  more_lines "$RUN_DIR/$MODE.piped" $((before + 100))
}

no_shim() { [[ -z $(pids_with -namespace "$CTR_NAMESPACE") ]]; }

begin "$@"
scenario off
scenario enforce
check "nothing is left" leaves_nothing
conclude
