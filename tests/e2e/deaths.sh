#!/usr/bin/env bash
# The supervisor or the shim is killed while a server attempts what it may not, in a loop: nothing
# succeeds, and the container does not outlive them.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

PLACES=(forever)
ATTEMPTED="read_direct read_proc_root create rdonly_creat append sh_execve exec_held tcp udp_held"

flood() { for one in $ATTEMPTED; do orders "$one" request:1; done; }

# flooding ID RUNTIME MODE: the server serves, and its threads try.
flooding() {
  start_server "$1" "$2" "$3" < <(flood)
  wait_for "$1" '^listening$' || return 1
  [[ $3 == none ]] || wait_for_phase "$1" serve || return 1
  predict >"$RUN_DIR/answer" || return 1
  [[ $3 == none ]] || wait_until 5 tries "$1" || { echo "no attempt is reported"; return 1; }
}

tries() { (($(count_kind "$1" violation) > 20)); }

# dead_within ID SECONDS
dead_within() {
  local pid
  pid=$(<"$RUN_DIR/$1.pid")
  wait_until "$2" gone "$pid" || wait_until 0 zombie "$pid" || { echo "pid $pid lives"; return 1; }
}
zombie() { [[ $(awk '{print $3}' "/proc/$1/stat" 2>/dev/null) == Z ]]; }

gone_within() { wait_until "$2" gone "$1" || { echo "pid $1 lives"; return 1; }; }

# nothing_happened ID: checked from outside, after the death.
nothing_happened() {
  check "$1: not one effect" nothing effects "$1"
  check "$1: not one attempt succeeded" nothing grep ' result=ok$' "$RUN_DIR/$1.out"
  check "$1: the client of the container is told" wait_until 10 gone "$CTR_PID"
}

all_succeeded() { [[ -z $(not_succeeded) ]]; }

stock() {
  check "stock: the server floods" flooding stock "$STOCK" none
  wait_until 20 all_succeeded || true  # a busy machine takes its time
  check "stock: its attempts succeed, each of them" nothing not_succeeded
  stop_container stock "$CTR_PID"
}

not_succeeded() {
  local one
  for one in $ATTEMPTED; do
    grep -q "^attempt $one .*result=ok" "$RUN_DIR/stock.out" || echo "$one"
  done
}

# supervisor_killed ID PAUSE: stopped for so long before it is killed, so that calls wait for it.
supervisor_killed() {
  local pid
  check "$1: the server floods" flooding "$1" "$MOAT" enforce
  pid=$(supervisor_of "$1")
  check "$1: there is one supervisor" equals 1 "$(wc -w <<<"$pid")"
  [[ $2 == 0 ]] || { kill -STOP "$pid"; sleep "$2"; }
  kill -KILL "$pid"
  check "$1: the container is dead within 2 s" dead_within "$1" 2
  check "$1: the shim says so" contains "$RUN_DIR/containerd.log" "supervisor is gone.*$1"
  nothing_happened "$1"
  stop_container "$1" "$CTR_PID"
}

# The daemon is stopped meanwhile: it would clean up after the shim by itself.
shim_killed() {
  local shim supervisor
  check "shim: the server floods" flooding shim "$MOAT" enforce
  shim=$(shim_of shim)
  supervisor=$(supervisor_of shim)
  check "shim: there is one shim, and one supervisor" equals "1 1" "$(wc -w <<<"$shim") $(wc -w <<<"$supervisor")"
  kill -STOP "$CONTAINERD_PID"
  kill -KILL "$shim"
  check "shim: the container is dead within 2 s" dead_within shim 2
  check "shim: its supervisor is gone within 2 s" gone_within "$supervisor" 2
  kill -CONT "$CONTAINERD_PID"
  nothing_happened shim
  stop_container shim "$CTR_PID"
}

begin_e2e "$@"
make_image
stock
supervisor_killed waiting 0.3
supervisor_killed running 0
shim_killed
conclude
