#!/usr/bin/env bash
# Shim, supervisor and keeper guard each other: whichever of them is killed, alone or with another,
# while a server attempts what it may not, nothing it attempts succeeds. Without a shim the container
# ends; the others are replaced. All three are beyond the promise: what holds even then is shown.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood} attack/lib/stress; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

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

# A server that is idle does not notice the loss of its output, as one that floods would.
serving() {
  start_server "$1" "$MOAT" enforce < <(echo request:1 main honest)
  wait_for "$1" '^listening$' && wait_for_phase "$1" serve
}

# ends_idle WHO...: the same of one that asks nothing, writes nothing, and has no descriptor of the
# shim's: no broken pipe ends it.
ends_idle() {
  local id
  id=idle-$(IFS=-; echo "$*")
  stressed "$id" --null-io -- idle
  check "$id: it is in load" wait_for_phase "$id" load
  check "$id: shim, supervisor and keeper are there" wait_until 5 guarded "$id"
  check "$id: it holds nothing of the shim's" equals "/dev/null /dev/null /dev/null" "$(readlink "/proc/$(<"$RUN_DIR/$id.pid")"/fd/* | paste -sd' ')"
  killed "$id" "$@"
  check "$id: the container is dead within 1 s" dead_within "$id" 1
  kill -CONT "$CONTAINERD_PID"
  end_stress "$id" "$CTR_PID"
}

# More losses in ten seconds than an accident explains.
ends_a_crash_loop() {
  local i shim killed=
  check "often: the server floods" flooding often "$MOAT" enforce
  shim=$(shim_of often)
  for ((i = 0; i < 11; i++)); do
    wait_until 5 child_supervisor_succeeds "$shim" "$killed" || break
    killed=$CHILD
    kill -KILL "$killed"
  done
  check "a supervisor that is lost again and again ends the container within 2 s" dead_within often 2
  check "often: an event says so" contains <(events often 'select(.kind == "health") | .message') 'again and again: the container is killed'
  check "often: the shim says so" contains "$RUN_DIR/containerd.log" "supervisor is gone.*often"
  nothing_happened often
  stop_container often "$CTR_PID"
}

# all_lost: nobody ends it, which shows who ended the others; who asks is told that there is no such
# call, and the programs at the cgroup hold. The shim last: the kernel wakes its stopped children.
all_lost() {
  local told=$RUN_DIR/w/lost/rootfs/tmp/last net=$RUN_DIR/w/lost.net
  : >"$net"
  unshare --net="$net" ip link set lo up
  stressed lost --null-io --with-ns "network:$net" -- last
  check "lost: it is in load" wait_for_phase lost load
  check "lost: shim, supervisor and keeper are there" wait_until 5 guarded lost
  killed lost keeper supervisor shim
  sleep 1
  check "lost: nobody is there to end it" alive "$(<"$RUN_DIR/lost.pid")"
  : >"$RUN_DIR/w/lost/rootfs/tmp/go"
  check "lost: it tries" wait_until 5 grep -qs '^end' "$told"
  check "what asks nobody is refused: registers and programs stay" \
    equals "create ENOSYS program ENOSYS move ENOSYS send EPERM end" "$(paste -sd' ' "$told")"
  check "lost: not one effect" nothing changed lost
  kill -CONT "$CONTAINERD_PID"
  end_stress lost "$CTR_PID"
}

# deleted_by_runtime: all of moat is killed, and the daemon does not clean up; only the runtime is told.
deleted_by_runtime() {
  check "deleted: the server serves" serving deleted
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
stock
small
ends shim
ends shim supervisor
ends shim keeper
stays keeper
stays supervisor keeper
ends_idle shim
ends_idle shim supervisor
ends_idle shim keeper
ends_a_crash_loop
all_lost
deleted_by_runtime
conclude
