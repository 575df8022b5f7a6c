#!/usr/bin/env bash
# Where a process's streams may go besides pipes to a client: terminals, files, logging programs.
# Each is tried under the stock shim, too: what clients see must be the same.
# shellcheck disable=SC2034,SC2016  # what one part sets another reads; $ belongs to the shell inside
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

SMALL_PROGRAMS+=(stty seq dd tr)
MOAT=io.containerd.moat.v2 STOCK=io.containerd.runc.v2

begin() {
  need_root "$@"
  fetch_tools
  [[ -x $MOAT_BIN/containerd-shim-moat-v2 ]] || die "the shim is not built; run tests/run.sh --build-only" 2
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  loggers
  start_containerd "$RUN_DIR"
  export RUN_DIR CTR_NAMESPACE MOAT_TOOLS
}
end_world() { :; }

# A logging program as nerdctl's: it reads both streams to their end. Its arguments say where to
# write and how to tell that it is ready.
loggers() {
  cat >"$RUN_DIR/logger" <<'END'
#!/bin/bash
env | sort >"$2/env"
printf '%s\n' "$@" >"$2/arguments"
ls -l /proc/self/fd | grep -c ' [0-9]* -> ' >"$2/fds"
cat <&3 >"$2/out" 5>&- &
cat <&4 >"$2/err" 5>&- &
case ${4:-} in
  byte) printf x >&5 ;;
  never) sleep 1000 ;;
  dies) exit 3 ;;
esac
exec 5>&- 3<&- 4<&-
wait
echo ended >"$2/ended"
END
  chmod +x "$RUN_DIR/logger"
}

# run RUNTIME ID [ctr option...] -- COMMAND...
run() {
  local runtime=$1 id=$2 options=()
  shift 2
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run --runtime "$runtime" --annotation moat.dev/mode=off --env PATH=/bin \
    --fifo-dir "$RUN_DIR/fifo" "${options[@]}" --rootfs "$RUN_DIR/rootfs" "$id" "$@"
}

# on_terminal COMMAND...: the command has a terminal of 91 columns and 27 rows.
on_terminal() {
  printf '%q ' "$@" >"$RUN_DIR/typed"
  SHELL=/bin/bash script -qec "stty cols 91 rows 27; . $RUN_DIR/typed" /dev/null
}

plain() { tr -d '\r\0' | sed 's/^^@//; s/^^D[\b]*//'; }  # the terminal's echo of the end of input
code_of() { "$@" >/dev/null 2>&1 && echo 0 || echo $?; }
pid_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $2}'; }
exec_() { ctr_ task exec --fifo-dir "$RUN_DIR/fifo" "$@"; }
export -f ctr_ run exec_
descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }

# The client sets the size a moment after the start.
SAY='test -t 0 && test -t 1 && test -t 2 && echo a terminal
  while [ "$(stty size)" = "0 0" ]; do :; done; stty size'

terminals() {
  local name=$1 runtime=$2
  on_terminal run "$runtime" "t$name" -t --rm -- /bin/sh -c "$SAY; exit 9" \
    </dev/null | plain >"$RUN_DIR/tty.$name" || true
  { sleep 1; printf 'typed\n'; sleep 0.5; printf '\004'; } |
    on_terminal run "$runtime" "i$name" -t --rm -- /bin/cat | plain >>"$RUN_DIR/tty.$name"
  code_of on_terminal run "$runtime" "e$name" -t --rm -- /bin/sh -c 'exit 9' >>"$RUN_DIR/tty.$name"
}

terminal_execs() {
  local i shim before
  run $MOAT x -d -- /bin/sleep 1000
  shim=$(shim_of x)
  check "an exec gets a terminal of the client's size" equals $'a terminal\n27 91' \
    "$(on_terminal exec_ -t --exec-id t1 x /bin/sh -c "$SAY" </dev/null | plain)"
  before=$(descriptors "$shim")
  for i in {1..10}; do
    on_terminal exec_ -t --exec-id "l$i" x /bin/true </dev/null >/dev/null
  done
  check "ten terminals later the shim holds no more descriptors" equals "$before" "$(descriptors "$shim")"
  check "and no socket is left in the bundle" nothing \
    find "$RUN_DIR/state/io.containerd.runtime.v2.task/$CTR_NAMESPACE/x" -name 'pty*'
  check "a program that is not there is told" contains \
    <(on_terminal exec_ -t --exec-id bad x /bin/nothing </dev/null 2>&1) 'stat /bin/nothing: no such file'
  ctr_ task rm --force x >/dev/null 2>&1
  ctr_ container rm x
}

files() {
  local name=$1 runtime=$2
  run "$runtime" "f$name" -d --log-uri "file://$RUN_DIR/logs/$name/log" -- \
    /bin/sh -c 'echo first; echo second >&2; echo third'
  wait_until 10 stopped "f$name"
  ctr_ task rm "f$name" >/dev/null
  ctr_ container rm "f$name"
  # Two streams have no order among each other.
  { stat -c '%a' "$RUN_DIR/logs/$name" "$RUN_DIR/logs/$name/log"; sort "$RUN_DIR/logs/$name/log"; } >"$RUN_DIR/file.$name"
}
stopped() { [[ $(ctr_ task ls | awk -v id="$1" '$1 == id {print $3}') == STOPPED ]]; }

# A file of the host would be one that a process reopens for writing by way of /proc/self/fd.
supervised() {
  local kind pid fd kinds options
  for kind in file null binary; do
    options=()
    [[ $kind != file ]] || options=(--log-uri "file://$RUN_DIR/logs/s/log")
    [[ $kind != binary ]] || { mkdir "$RUN_DIR/sl" && options=(--log-uri "binary://$RUN_DIR/logger?to=$RUN_DIR/sl&how=eof"); }
    run $MOAT "s$kind" -d --annotation moat.dev/mode=enforce "${options[@]}" -- /bin/sleep 1000
    pid=$(pid_of "s$kind")
    kinds=$(for fd in 0 1 2; do readlink "/proc/$pid/fd/$fd" | sed 's/pipe:.*/pipe/'; done | sort -u | paste -sd' ')
    check "supervised, $kind: no stream is a file of the host" nothing grep -vxE 'pipe|/dev/null' <(tr ' ' '\n' <<<"$kinds")
    check "supervised, $kind: every stream is there" test -n "$kinds"
    ctr_ task rm --force "s$kind" >/dev/null 2>&1
    ctr_ container rm "s$kind"
  done
  check "supervised, a terminal: each stream is one" contains <(on_terminal run $MOAT st -t --rm --annotation moat.dev/mode=enforce -- \
    /bin/sh -c 'for fd in 0 1 2; do test -t $fd && test -c /proc/self/fd/$fd || exit 1; done; echo all terminals' </dev/null | plain) '^all terminals'
}

logged() {
  local name=$1 runtime=$2 dir=$RUN_DIR/logger-$1
  mkdir "$dir"
  ctr_ container rm lg 2>/dev/null || true  # of an earlier try
  run "$runtime" lg -d --log-uri "binary://$RUN_DIR/logger?to=$dir&how=eof" -- \
    /bin/sh -c 'echo to stdout; echo to stderr >&2; sleep 0.2; seq 1 20000'
  wait_until 10 stopped lg
  ctr_ task rm lg >/dev/null
  [[ -e $dir/env ]] || return 1
  ctr_ container rm lg
  sed "s|$dir|DIR|; /^PWD=\|^SHLVL=\|^_=/d" "$dir/env" "$dir/arguments" >"$RUN_DIR/logged.$name"
  cat "$dir/err" >>"$RUN_DIR/logged.$name"
  sha256sum <"$dir/out" >>"$RUN_DIR/logged.$name"
}

bad_loggers() {
  local dir=$RUN_DIR/bad
  mkdir "$dir"
  tell() { run $MOAT "$1" --rm --log-uri "$2" -- /bin/echo x 2>&1 | tail -n 1; }
  check "a logging program that is not there is named" contains <(tell n1 binary:///no/such/logger) \
    'logging binary: cannot start /no/such/logger: No such file'
  check "one that never gets ready is told so, in time" contains \
    <(tell n2 "binary://$RUN_DIR/logger?to=$dir&how=never") 'logger was not ready within 10 s: it must close descriptor 5'
  check "and it is ended" wait_until 15 nothing pgrep -f "$RUN_DIR/logger to $dir how never"
  check "binary-v2 asks for a byte" contains <(tell n3 "binary-v2://$RUN_DIR/logger?to=$dir&how=eof") \
    'closed descriptor 5 without the byte'
  check "an unknown scheme is named" contains <(tell n4 syslog://x) 'unknown STDIO scheme syslog'
  mkdir "$dir/byte"
  run $MOAT n5 --log-uri "binary-v2://$RUN_DIR/logger?to=$dir/byte&how=byte" -d -- /bin/echo by byte
  wait_until 10 stopped n5
  ctr_ task rm n5 >/dev/null
  check "and takes one" equals "by byte" "$(<"$dir/byte/out")"
  run $MOAT n6 --log-uri "binary://$RUN_DIR/logger?to=$dir&how=dies" -d -- /bin/sh -c 'trap "" PIPE; sleep 0.3; echo x; exit 4'
  wait_until 10 stopped n6
  check "a container outlives its logging program" contains <(ctr_ task rm n6 2>&1) 'non-zero exit code 4'
}

# The client that reads goes; the container must not notice, and the next client reads on.
lost_reader() {
  local client init
  echo r >>"$RUN_DIR/ids"
  run $MOAT r -- /bin/sh -c 'trap "echo got PIPE >/tmp/pipe" PIPE; i=0; while :; do i=$((i + 1)); echo line $i; echo $i >/tmp/r; sleep 0.01; done' \
    >/dev/null 2>&1 </dev/null &
  client=$!
  wait_until 10 test -s "$RUN_DIR/rootfs/tmp/r"
  init=$(pid_of r)
  pkill -KILL -P "$client" || true
  kill -KILL "$client" 2>/dev/null || true
  wait "$client" 2>/dev/null || true
  sleep 0.3
  local at
  at=$(<"$RUN_DIR/rootfs/tmp/r")
  sleep 0.5
  check "a container whose client is killed writes on" test "$(<"$RUN_DIR/rootfs/tmp/r")" -gt "$at"
  stop_daemon
  sleep 0.5
  check "also while containerd is away" kill -0 "$init"
  launch_containerd
  check "containerd finds it again" equals "$init" "$(pid_of r)"
  check "and it never got SIGPIPE" test ! -e "$RUN_DIR/rootfs/tmp/pipe"
  ctr_ task rm --force r >/dev/null 2>&1
  check "the init is gone" wait_until 5 gone "$init"
  ctr_ container rm r
}

begin "$@"
terminals stock $STOCK
terminals moat $MOAT
check "terminals are the stock shim's: size, bytes, input, exit" same "$RUN_DIR/tty.stock" "$RUN_DIR/tty.moat"
check "a container gets a terminal of the client's size" contains "$RUN_DIR/tty.moat" '^27 91$'
check "what is typed arrives, and the end of file" contains "$RUN_DIR/tty.moat" '^typed$'
# The kernel throws away what nobody has read yet when the first process of a terminal ends.
check "2 MB go through a terminal whole" equals 2000000 "$(
  on_terminal run $MOAT big -t --rm -- /bin/sh -c 'stty -opost; dd if=/dev/zero bs=1000 count=2000 2>/dev/null | tr "\0" x; sleep 1' \
    </dev/null | tr -cd x | wc -c)"
terminal_execs
files stock $STOCK
files moat $MOAT
check "file:// is the stock shim's" same "$RUN_DIR/file.stock" "$RUN_DIR/file.moat"
check "both streams are in the file" equals 3 "$(wc -l <"$RUN_DIR/logs/moat/log")"
# On a busy machine the stock shim now and then loses its logging program: it gets three tries.
for _ in 1 2 3; do
  rm -rf "$RUN_DIR/logger-stock"
  logged stock $STOCK >/dev/null 2>&1 && break
done
logged moat $MOAT
check "binary:// is the stock shim's: environment, arguments, streams" same "$RUN_DIR/logged.stock" "$RUN_DIR/logged.moat"
check "a logging program comes to its own end before the deletion returns" test -e "$RUN_DIR/logger-moat/ended"
bad_loggers
supervised
lost_reader
conclude
