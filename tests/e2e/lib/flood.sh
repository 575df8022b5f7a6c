# shellcheck shell=bash disable=SC2034
# A server whose threads attempt what they may not, in a loop, while moat's processes die; and what
# may be seen of it afterwards.

ATTEMPTED="read_direct read_proc_root create rdonly_creat append sh_execve exec_held tcp udp_held"

flood() {
  local one PLACES=(forever)
  for one in $ATTEMPTED; do orders "$one" request:1; done
}

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

succeeded_by() { [[ -n $(supervisor_of "$1") && $(supervisor_of "$1") != "$2" ]]; }

# kill_supervisor ID [PAUSE]: stopped for so long before, so that calls wait for it.
kill_supervisor() {
  local pid
  pid=$(supervisor_of "$1")
  [[ $pid ]] || return 1
  [[ ${2:-0} == 0 ]] || { kill -STOP "$pid"; sleep "$2"; }
  date +%s%N >"$RUN_DIR/killed"
  kill -KILL "$pid"
  wait_until 5 succeeded_by "$1" "$pid"
}

# killed ID WHO...: at once, while the daemon, which would clean up after the shim, is stopped.
killed() {
  local id=$1 who pids=()
  shift
  for who; do pids+=("$("${who}_of" "$id")"); done
  kill -STOP "$CONTAINERD_PID"
  kill -STOP "${pids[@]}"
  sleep 0.1
  kill -KILL "${pids[@]}"
}

# state_files: the kinds of what is in moat's state folder.
state_files() { find "$MOAT_STATE_DIR" -type f -printf '%f\n' -o -type s -printf '%f\n' | sed 's/.*\.//'; }

alive() { ! gone "$1" && ! zombie "$1"; }

# more_refused ID: the attempts go on, and are refused by who is there now.
more_refused() {
  local before
  before=$(count_kind "$1" violation)
  wait_until 5 more_than "$1" "$((before + 20))"
}
more_than() { (($(count_kind "$1" violation) > $2)); }

quick_answer() { predict 0.2 >"$RUN_DIR/answer" || { echo "no answer within 200 ms"; return 1; }; }

# Of moat or its containers; the client's FIFOs are its own affair.
left_of_moat() { leftovers | grep -v "^file $RUN_DIR/fifo/"; }
nothing_left() { [[ -z $(left_of_moat) ]]; }
leaves_nothing_of_moat() { wait_until 5 nothing_left || nothing left_of_moat; }
