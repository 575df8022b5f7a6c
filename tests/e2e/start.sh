#!/usr/bin/env bash
# The actions `start` and `delete` and the answer to `-info`, one by one: who shares a shim, what the
# server inherits, what is left when a shim or its runtime is in trouble.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,leftovers,daemon}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

GROUP=io.containerd.runc.v2.group
SANDBOX=io.kubernetes.cri.sandbox-id

bootstrap() { "$MOAT_BIN/tools/bootstrap" "$@"; }

# reply ID [WORD...]: what `start` says in the bundle of ID; standard input is the daemon's.
reply() { as_daemon "$SHIM" "$RUN_DIR/b/$1" -id "$1" "${@:2}" start 2>&1; }
quiet_reply() { reply "$@" </dev/null; }

in_group() { new_bundle "$1" ".annotations[\"$2\"] = \"$3\""; }

servers() { pids_with -namespace "$CTR_NAMESPACE"; }
# As a client ends them: a signal may come before they have learned to take it.
end_servers() {
  for SOCKET in "$RUN_DIR"/s/*; do echo "- | Shutdown id=none" | play 2>/dev/null || true; done
  wait_until 5 no_server
}
no_server() { [[ -z $(servers) ]]; }

groups() {
  in_group g1 $GROUP one
  in_group g2 $GROUP one
  in_group g3 $SANDBOX one
  new_bundle g4 ".annotations[\"$GROUP\"] = \"one\" | .annotations[\"$SANDBOX\"] = \"other\""
  new_bundle one
  new_bundle alone
  local first
  first=$(quiet_reply g1)
  check "the same group annotation: the same shim" equals "$first" "$(quiet_reply g2)"
  check "a sandbox of that name: the same shim" equals "$first" "$(quiet_reply g3)"
  check "of both annotations the group's counts" equals "$first" "$(quiet_reply g4)"
  check "a container of that name: the same shim" equals "$first" "$(quiet_reply one)"
  check "there is one server" equals 1 "$(servers | wc -l)"
  check "another container has its own" test "$first" != "$(quiet_reply alone)"
  end_servers
}

# racing_starts ROUND: four containers of one pod at once; prints how many addresses and servers.
racing_starts() {
  local i pids=() round=$RUN_DIR/round
  for i in 1 2 3 4; do
    quiet_reply "r$i" >"$round.$i" &
    pids+=($!)
  done
  wait "${pids[@]}"
  SOCKET=$(sed 's|^unix://||' "$round.1")
  echo "$(sort -u "$round".? | wc -l) $(servers | wc -l) $(echo "up | Connect id=x" | play | cut -c1-7)"
}

races() {
  local i round
  for i in 1 2 3 4; do in_group "r$i" $SANDBOX pod; done
  for round in {1..16}; do
    racing_starts
    # Killed, it leaves its socket to the next round; ended, it takes it along.
    if ((round % 2)); then servers | xargs -r kill -KILL; else end_servers; fi
    wait_until 5 no_server
  done >"$RUN_DIR/races"
  check "of four starts at once one makes the shim, whatever the last one left" equals "16 1 1 up | OK" \
    "$(sort "$RUN_DIR/races" | uniq -c | sed 's/^ *//')"
}

# oom_score_of ADJUSTMENT: a server's whose daemon has this one.
oom_score_of() {
  (
    echo "$1" >"/proc/$BASHPID/oom_score_adj"
    quiet_reply inherit >/dev/null
    : # the shell stays its parent
  )
  cat "/proc/$(shim_at inherit)/oom_score_adj"
  end_servers
}

inheritance() {
  new_bundle inherit
  check "the server's oom_score_adj is the daemon's and one" equals 501 "$(oom_score_of 500)"
  check "and no more than 1000" equals 1000 "$(oom_score_of 1000)"
  quiet_reply inherit -debug >/dev/null
  local server
  server=$(shim_at inherit)
  check "nothing of the starter's pipes is left in the server" equals "/dev/null /dev/null" \
    "$(readlink "/proc/$server/fd/0") $(readlink "/proc/$server/fd/1")"
  check "nor in its standard error" test "$(readlink "/proc/$server/fd/2" | cut -d: -f1)" != pipe
  check "it leads a group of its own" equals "$server" "$(ps -o pgid= -p "$server" | tr -d ' ')"
  check "it is asked to log more" contains <(tr '\0' ' ' <"/proc/$server/cmdline") ' -debug '
  check "its folder is the bundle" equals "$RUN_DIR/b/inherit" "$(readlink "/proc/$server/cwd")"
  end_servers
  rm "$RUN_DIR/b/inherit/config.json"
  check "without a config.json the container is its own group" contains <(quiet_reply inherit) '^unix://'
  end_servers
}

cgroup_of() { grep -m1 -E "$2" "/proc/$(shim_at "$1")/cgroup" | cut -d: -f3; }

shim_cgroup() {
  local group=/$CTR_NAMESPACE/shims
  new_bundle c1
  mkdir -p "/sys/fs/cgroup/memory$group" "/sys/fs/cgroup/pids$group" 2>/dev/null || true
  if [[ -d /sys/fs/cgroup/memory$group ]]; then
    bootstrap options shim_cgroup="$group" | reply c1 >/dev/null
    check "version 1: the server is in the ShimCgroup of every hierarchy that has it" equals "$group $group" \
      "$(cgroup_of c1 ':memory:') $(cgroup_of c1 ':pids:')"
    end_servers
  fi
  bootstrap options shim_cgroup="$group/none" | reply c1 >"$RUN_DIR/reply" || true
  check "a ShimCgroup that is not there: one line that names it" equals 1 \
    "$(grep -c "^moat: start: ShimCgroup $group/none: .*" "$RUN_DIR/reply")"
  check "and no server" wait_until 5 no_server
  check "nor its socket" equals "" "$(ls "$RUN_DIR/s")"
  unified_cgroup "$group"
  find /sys/fs/cgroup -mindepth 2 -path "*$group" -type d -prune -exec rmdir {} \;
}

# Version 2 in a mount namespace of our own.
unified_cgroup() {
  local unified
  unified=$(awk '$9 == "cgroup2" || / - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
  mkdir -p "$unified$1"
  export -f as_daemon reply
  bootstrap options shim_cgroup="$1" | SHIM=$SHIM RUN_DIR=$RUN_DIR CTR_NAMESPACE=$CTR_NAMESPACE TOOLS_PATH=$TOOLS_PATH \
    unshare --mount --propagation private bash -c 'mount -t cgroup2 none /sys/fs/cgroup && reply c1' >/dev/null
  check "version 2: the server is in the ShimCgroup" equals "$1" "$(cgroup_of c1 '^0:')"
  end_servers
}

sched_core() {
  local stock=$MOAT_TOOLS/usr/bin/containerd-shim-runc-v2 theirs=0 ours=0
  new_bundle s1
  SCHED_CORE=1 as_daemon "$stock" "$RUN_DIR/b/s1" -id s1 start >"$RUN_DIR/theirs" 2>&1 </dev/null || theirs=$?
  # Where the kernel can do it, both have a server now.
  [[ $theirs != 0 ]] || pgrep -f -- "-namespace $CTR_NAMESPACE -id s1" | xargs -r kill
  SCHED_CORE=1 quiet_reply s1 >"$RUN_DIR/ours" || ours=$?
  check "SCHED_CORE: the same exit code as the stock shim's ($theirs)" equals "$theirs" "$ours"
  ((ours == 0)) || check "and its refusal in one line" equals 1 \
    "$(grep -c '^moat: start: SCHED_CORE: enable sched core support: .*' "$RUN_DIR/ours")"
  end_servers
  check "no socket is left by a refused start" equals "" "$(ls "$RUN_DIR/s")"
}

# running ID: a container of the faulty runtime.
running() {
  new_bundle "$1"
  start_by_hand "$1"
  play <<END >"$RUN_DIR/$1.running"
create | Create id=$1 bundle=$RUN_DIR/b/$1 runtime=$FAULTS/runc
start | Start id=$1
END
}

# deleted ID: what containerd runs, and how long it takes: DELETED is its answer, TOOK milliseconds.
deleted() {
  local began=${EPOCHREALTIME/[.,]/}
  DELETED=$(delete_by_hand "$1" 2>"$RUN_DIR/delete.err" | bootstrap deleted)
  TOOK=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
}

init_of() { cat "$RUN_DIR/b/$1/init.pid"; }

deletion() {
  local init
  faulty_runtime
  running d1
  init=$(init_of d1)
  printf -- '- | Kill id=d1 signal=9\n- | Wait id=d1\n- | Delete id=d1\n- | Shutdown id=d1\n' | play
  wait_until 5 no_server
  : >"$FAULTS/calls"
  deleted d1
  check "after a removal delete tells the pid and 137" contains <(echo "$DELETED") "^pid=$init exit=137 at=[1-9]"
  check "without asking the runtime again" equals 0 "$(calls delete)"
  check "in no time ($TOOK ms)" test "$TOOK" -lt 500

  running d2
  init=$(init_of d2)
  servers | xargs kill -KILL
  deleted d2
  check "after its shim's death delete ends the container" wait_until 2 dead "$init"
  check "by the runtime" equals 1 "$(calls delete)"
  check "and takes the stale socket along" equals "" "$(ls "$RUN_DIR/s")"

  running d3
  init=$(init_of d3)
  servers | xargs kill -KILL
  touch "$FAULTS/hang-delete"
  deleted d3
  check "with a runtime that hangs delete answers within five seconds ($TOOK ms)" test "$TOOK" -lt 4500
  check "it tells the pid all the same" contains <(echo "$DELETED") "^pid=$init exit=137"
  check "it says why" contains "$RUN_DIR/delete.err" 'runc did not finish within 2 s and was killed'
  check "and the container is dead" wait_until 2 dead "$init"
  check "the runtime too" equals "" "$(pgrep -f "$FAULTS/runc" || true)"
  rm "$FAULTS/hang-delete"
  deleted d3
  check "a second delete finishes it" test ! -e "/run/containerd/runc/$CTR_NAMESPACE/d3"
}

busy_unmount() {
  new_bundle m1
  mkdir -p "$RUN_DIR/b/m1/rootfs"
  mount -t tmpfs moat-busy "$RUN_DIR/b/m1/rootfs"
  (cd "$RUN_DIR/b/m1/rootfs" && exec sleep 1000) &
  local holder=$!
  deleted m1
  check "with a busy root file system delete answers within five seconds ($TOOK ms)" test "$TOOK" -lt 4500
  check "and says what is busy" contains "$RUN_DIR/delete.err" 'b/m1/rootfs'
  kill "$holder"
  wait "$holder" 2>/dev/null || true
  sleep 1.2  # its own last tries
  deleted m1
  check "free again it is unmounted" nothing grep -F "$RUN_DIR/b/m1/rootfs" /proc/self/mountinfo
}

info() { (cd / && PATH=$TOOLS_PATH:$PATH "$SHIM" -info | bootstrap info); }

information() {
  local began=${EPOCHREALTIME/[.,]/}
  info </dev/null >"$RUN_DIR/info"
  check "-info answers at once" test "$((${EPOCHREALTIME/[.,]/} - began))" -lt 1000000
  check "-info names the runtime" contains "$RUN_DIR/info" '^name=io\.containerd\.'
  "$RUNC" features >"$RUN_DIR/features"
  check "its features are the runtime's, as it prints them" same <(jq -S . "$RUN_DIR/features") \
    <(sed -n '/^features=types.containerd.io.*Features$/,$p' "$RUN_DIR/info" | tail -n +2 | jq -S .)
  touch "$FAULTS/fail-features"
  bootstrap options runtime="$FAULTS/runc" | info >"$RUN_DIR/info"
  check "a runtime without features is no failure" contains "$RUN_DIR/info" '^features=$'
  check "the options come back" contains "$RUN_DIR/info" '^options=containerd\.runc\.v1\.Options$'
  bootstrap options runtime=/nowhere/runc | info >"$RUN_DIR/info"
  check "nor is one that is not there" contains "$RUN_DIR/info" '^features=$'
  check "nor garbage on standard input" contains <(head -c 300 /dev/urandom | info) '^name='
  touch "$FAULTS/hang-features"
  began=${EPOCHREALTIME/[.,]/}
  bootstrap options runtime="$FAULTS/runc" | info >"$RUN_DIR/info"
  check "nor one that hangs, within three seconds" test "$((${EPOCHREALTIME/[.,]/} - began))" -lt 3000000
}

begin_by_hand "$@"
groups
races
inheritance
shim_cgroup
sched_core
deletion
busy_unmount
information
check "nothing is left" leaves_nothing
conclude
