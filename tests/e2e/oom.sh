#!/usr/bin/env bash
# Kills for want of memory are told: before the exit, once, also when the container lives for some
# milliseconds, and in a process that is not its first. As runc's shim tells them.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

EVENTS_PID=
end_world() { [[ -z $EVENTS_PID ]] || kill "$EVENTS_PID" 2>/dev/null || true; }

# run SHIM ID COMMAND...: with 16 MiB; its exit code is ours.
run() {
  local runtime=io.containerd.$1.v2 id=$2
  shift 2
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run --runtime "$runtime" --annotation moat.dev/mode=off --env PATH=/bin --fifo-dir "$RUN_DIR/fifo" \
    --memory-limit 16777216 --rootfs "$RUN_DIR/rootfs" "$id" "$@" >"$RUN_DIR/$id.out" 2>&1
}
code_of() { "$@" && echo 0 || echo $?; }

# events ID: the topics of its events up to its exit, in order, in one line.
events() {
  awk -v id="\"container_id\":\"$1\"" 'index($0, id) {
    line = line " " $6
    if ($6 == "/tasks/exit") exit
  } END {print substr(line, 2)}' "$RUN_DIR/events"
}
is_told() { [[ "$(events "$1")" == *"$2"* ]]; }
exited() { wait_until 10 is_told "$1" /tasks/exit; }

# sleeps PID: for a second, without being woken once.
sleeps() {
  local before after
  sleep 1  # the start's last timers
  before=$(grep ^voluntary "/proc/$1/status")
  sleep 1
  after=$(grep ^voluntary "/proc/$1/status")
  equals "$before" "$after"
}

# A block larger than the limit, all of it touched.
EATS='exec dd if=/dev/zero of=/dev/null bs=64M count=1'

begin_e2e "$@"
SMALL_PROGRAMS+=(dd)
small_rootfs "$RUN_DIR/rootfs"
# A runtime that is late back from a start when it is told to be.
mkdir "$RUN_DIR/bin"
cat >"$RUN_DIR/bin/runc" <<END
#!/bin/sh
$MOAT_TOOLS/usr/sbin/runc "\$@" || exit
case "\$*" in *" start "*) [ ! -e "$RUN_DIR/slow" ] || sleep 0.3 ;; esac
END
chmod +x "$RUN_DIR/bin/runc"
stop_daemon
TOOLS_PATH=$RUN_DIR/bin:$TOOLS_PATH start_containerd "$RUN_DIR"
"$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" events >"$RUN_DIR/events" 2>&1 &
EVENTS_PID=$!
sleep 0.3

for shim in runc moat; do
  check "$shim: a container that eats at once is killed" equals 137 "$(code_of run "$shim" "now-$shim" /bin/sh -c "$EATS")"
  check "$shim: its exit is told" exited "now-$shim"
  check "$shim: the kill is told once, before the exit" equals \
    "/tasks/create /tasks/start /tasks/oom /tasks/exit" "$(events "now-$shim")"
done
for round in 1 2 3 4 5; do
  run moat "fast$round" /bin/sh -c "$EATS" || true
  check "round $round: the exit is told" exited "fast$round"
  check "round $round: the kill is told before it" equals \
    "/tasks/create /tasks/start /tasks/oom /tasks/exit" "$(events "fast$round")"
done
touch "$RUN_DIR/slow"
run moat late /bin/sh -c "$EATS" || true
rm "$RUN_DIR/slow"
check "one that is dead before its start is answered: its exit is told" exited late
check "and all of it in order" equals "/tasks/create /tasks/start /tasks/oom /tasks/exit" "$(events late)"
check "a container whose child eats goes on" equals 7 \
  "$(code_of run moat child /bin/sh -c "(${EATS}); (${EATS}); exit 7")"
check "its exit is told" exited child
check "each of its kills is told" equals "/tasks/create /tasks/start /tasks/oom /tasks/oom /tasks/exit" "$(events child)"
run moat shot /bin/sleep 100 &
check "one starts" wait_until 10 is_told shot /tasks/start
check "its shim has nothing to do meanwhile" sleeps "$(shim_of shot)"
ctr_ task kill --signal KILL shot
wait $! || true
check "is killed by a client" exited shot
check "was not short of memory" equals "/tasks/create /tasks/start /tasks/exit" "$(events shot)"
conclude
