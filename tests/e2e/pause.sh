#!/usr/bin/env bash
# Pause and Resume, which the shim does without the runtime: everything stops, also what forks all the
# time and what waits for the supervisor; the runtime agrees; a kill ends it.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

end_world() { :; }

# run ID MODE COMMAND...
run() {
  local id=$1 mode=$2
  shift 2
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run -d --runtime io.containerd.moat.v2 --annotation "moat.dev/mode=$mode" --env PATH=/bin \
    --fifo-dir "$RUN_DIR/fifo" --rootfs "$RUN_DIR/rootfs" "$id" "$@" >/dev/null
}

status_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}'; }
is_status() { [[ $(status_of "$1") == "$2" ]]; }
runc_status() { runc_ state "$1" | jq -r .status; }
runc_() { "$MOAT_TOOLS/usr/sbin/runc" --root "/run/containerd/runc/$CTR_NAMESPACE" "$@"; }

# asks ID: a process of it waits in a question to its supervisor.
asks() {
  local pid
  for pid in $(ctr_ task ps "$1" | awk 'NR > 1 {print $1}'); do
    grep -qs seccomp "/proc/$pid/stack" "/proc/$pid/wchan" && return
  done
  return 1
}

# grows FILE: within half a second.
grows() {
  local before
  before=$(stat -c %s "$1")
  sleep 0.5
  (($(stat -c %s "$1") > before)) || { echo "it stays at $before bytes"; return 1; }
}
stays() { ! grows "$1" || { echo "it grows"; return 1; }; }

# rounds ID N: paused and resumed again and again.
rounds() {
  local i
  for ((i = 0; i < $2; i++)); do
    ctr_ task pause "$1" && is_status "$1" PAUSED && ctr_ task resume "$1" && is_status "$1" RUNNING || return 1
  done
}

begin_e2e "$@"
small_rootfs "$RUN_DIR/rootfs"
mkdir -p "$RUN_DIR/rootfs/tmp"
# The runtime that is used tells what it is asked for.
mkdir "$RUN_DIR/bin"
printf '#!/bin/sh\necho "$*" >>%s\nexec %s "$@"\n' "$RUN_DIR/calls" "$MOAT_TOOLS/usr/sbin/runc" >"$RUN_DIR/bin/runc"
chmod +x "$RUN_DIR/bin/runc"
stop_daemon
TOOLS_PATH=$RUN_DIR/bin:$TOOLS_PATH start_containerd "$RUN_DIR"

# shellcheck disable=SC2016  # for the shell in there
WRITES='while :; do echo x >>/tmp/$0; touch /tmp/y; done'
run p1 off /bin/sh -c "$WRITES" p1
out=$RUN_DIR/rootfs/tmp/p1
check "it runs" grows "$out"
check "pause succeeds" ctr_ task pause p1
check "it says so" is_status p1 PAUSED
check "nothing of it runs" stays "$out"
check "the runtime agrees" equals paused "$(runc_status p1)"
check "a second pause is refused" contains <(ctr_ task pause p1 2>&1) 'cannot pause a paused container'
check "an exec is refused" contains <(ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id x p1 /bin/true 2>&1) \
  'cannot exec in a paused state'
check "its statistics are told" contains <(ctr_ task metrics p1) 'memory.usage_in_bytes'
check "resume succeeds" ctr_ task resume p1
check "it runs again" grows "$out"
check "the runtime agrees again" equals running "$(runc_status p1)"
check "fifteen times in a row, in the middle of forks" rounds p1 15
check "no pause was the runtime's" nothing grep -E ' (pause|resume) ' "$RUN_DIR/calls"
check "which was asked for the rest" contains "$RUN_DIR/calls" ' start p1'
ctr_ task pause p1
ctr_ task kill --signal KILL p1
check "a kill ends what is paused" wait_until 5 is_status p1 STOPPED
check "which is deleted as usual" contains <(ctr_ task rm p1 2>&1) 'non-zero exit code 137'

run p2 off /bin/sh -c "$WRITES" p2
ctr_ task pause p2
kill -KILL "$(ctr_ task ls | awk '$1 == "p2" {print $2}')"
ctr_ task resume p2 >/dev/null 2>&1 || true
check "what somebody else killed while it was paused ends when it is resumed at the latest" wait_until 5 is_status p2 STOPPED
ctr_ task rm p2 >/dev/null 2>&1 || true

run p3 audit /bin/sh -c "$WRITES" p3
check "a supervised one runs" grows "$RUN_DIR/rootfs/tmp/p3"
check "it is paused in the middle of its questions" rounds p3 15
ctr_ task pause p3
check "and nothing of it runs" stays "$RUN_DIR/rootfs/tmp/p3"
ctr_ task resume p3
check "and it runs again" grows "$RUN_DIR/rootfs/tmp/p3"
supervisor=$(supervisor_of p3)
check "it has a supervisor" test -n "$supervisor"
kill -STOP "$supervisor"
check "its questions wait" wait_until 5 asks p3
check "a thread that waits for an answer is paused as well" ctr_ task pause p3
check "which the kernel confirms" equals paused "$(runc_status p3)"
kill -CONT "$supervisor"
ctr_ task resume p3
check "and goes on, answered" grows "$RUN_DIR/rootfs/tmp/p3"
ctr_ task kill --signal KILL p3
check "and ends" wait_until 5 is_status p3 STOPPED
ctr_ task rm p3 >/dev/null 2>&1 || true
conclude
