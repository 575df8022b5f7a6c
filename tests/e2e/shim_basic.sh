#!/usr/bin/env bash
# The shim as containerd sees it, without supervision: exits, streams, execs, groups, a killed shim,
# and nothing left behind.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

SHIM=$MOAT_BIN/containerd-shim-moat-v2
LOOP='trap "exit 5" TERM; while :; do sleep 0.1; done'

begin() {
  need_root "$@"
  fetch_tools
  [[ -x $SHIM ]] || die "$SHIM is not built; run tests/run.sh --build-only" 2
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir "$RUN_DIR/root"
  mount -t tmpfs -o mode=711 moat-e2e "$RUN_DIR/root"  # an overlay's upper layer on any machine
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  start_containerd "$RUN_DIR"
}

end_world() { :; }
end() {
  ((BROKEN == 0)) || [[ ! -r $RUN_DIR/containerd.log ]] || tail -n 20 "$RUN_DIR/containerd.log" >&2
  end_e2e
}

# run ID [ctr option...] -- COMMAND...: in front; run_detached the same with -d.
run() {
  local id=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run --runtime io.containerd.moat.v2 --annotation moat.dev/mode=off --env PATH=/bin \
    --fifo-dir "$RUN_DIR/fifo" "${options[@]}" --rootfs "$RUN_DIR/rootfs" "$id" "$@"
}

status_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}'; }
pid_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $2}'; }
is_status() { [[ $(status_of "$1") == "$2" ]]; }
code_of() { "$@" >/dev/null 2>&1 && echo 0 || echo $?; }
exec_() {
  local id=$1 exec=$2
  shift 2
  ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id "$exec" "$id" "$@"
}

exits_and_streams() {
  check "the exit code is the process's" equals 7 "$(code_of run e1 --rm -- /bin/sh -c 'exit 7')"
  run e2 --rm -- /bin/sh -c 'echo to stdout; echo to stderr >&2' >"$RUN_DIR/out" 2>"$RUN_DIR/err"
  check "stdout arrives, and only it" equals "to stdout" "$(<"$RUN_DIR/out")"
  check "stderr arrives, and only it" equals "to stderr" "$(<"$RUN_DIR/err")"
  check "20 MB of output arrive whole" equals 20000000 \
    "$(run e3 --rm -- /bin/head -c 20000000 /dev/zero | wc -c)"
  check "3 MB of input arrive, and its end" equals 3000000 \
    "$(head -c 3000000 /dev/zero | run e4 --rm -- /bin/cat | wc -c)"
  run e5 --rm -- /bin/nothing 2>"$RUN_DIR/err" || true
  check "a missing program is the runtime's own message" contains "$RUN_DIR/err" \
    'OCI runtime create failed: runc create failed: .*"/bin/nothing": stat /bin/nothing: no such file'
}

image_rootfs() {
  small_image "$RUN_DIR/rootfs" moat.test/small:1
  echo i1 >>"$RUN_DIR/ids"
  check "a container of an image gets its overlay" equals "made" "$(
    ctr_ run --rm --runtime io.containerd.moat.v2 --annotation moat.dev/mode=off --env PATH=/bin \
      --fifo-dir "$RUN_DIR/fifo" --snapshotter overlayfs moat.test/small:1 i1 \
      /bin/sh -c 'touch /made && ls / | while read -r f; do [ "$f" != made ] || echo "$f"; done'
  )"
  check "its overlay is unmounted" nothing grep "$RUN_DIR/state" /proc/self/mountinfo
}

tasks_and_execs() {
  run t1 -d -- /bin/sh -c "$LOOP"
  check "a detached task runs" is_status t1 RUNNING
  check "its processes are listed" contains <(ctr_ task ps t1) "^$(pid_of t1) "
  check "an exec's output" equals "in exec" "$(exec_ t1 x0 /bin/echo in exec)"
  check "an exec's exit code" equals 3 "$(code_of exec_ t1 x1 /bin/sh -c 'exit 3')"
  check "an exec echoes its input" equals "some words" "$(echo some words | exec_ t1 x2 /bin/cat)"
  exec_ t1 x3 /bin/nothing 2>"$RUN_DIR/err" || true
  check "a missing program of an exec is told" contains "$RUN_DIR/err" 'OCI runtime exec failed: exec failed: '
  check "a killed exec ends with 137" equals 137 "$(killed_exec t1 x4)"
  check "twenty execs at once succeed" equals 20 "$(execs_at_once t1 20)"
  ctr_ task pause t1
  check "a paused task says so" is_status t1 PAUSED
  ctr_ task resume t1
  check "and runs again" is_status t1 RUNNING
  ctr_ task kill --signal TERM t1
  check "a signalled task stops" wait_until 10 is_status t1 STOPPED
  check "its deletion tells the code" contains <(ctr_ task rm t1 2>&1) 'non-zero exit code 5'
  check "a deleted task is gone" equals "" "$(status_of t1)"
  ctr_ container rm t1
  run t2 -d -- /bin/sh -c "$LOOP"
  check "removal by force" equals 0 "$(code_of ctr_ task rm --force t2)"
  ctr_ container rm t2
}

killed_exec() {
  exec_ "$1" "$2" /bin/sleep 1000 >/dev/null 2>&1 &
  wait_until 10 has_exec "$1" "$2" && ctr_ task kill --signal KILL --exec-id "$2" "$1"
  wait $! && echo 0 || echo $?
}
has_exec() { ctr_ task ps "$1" | grep -q "$2"; }

# How many of N succeed.
execs_at_once() {
  local i pids=() good=0
  for ((i = 0; i < $2; i++)); do
    exec_ "$1" "many$i" /bin/true >/dev/null 2>&1 &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" && good=$((good + 1)); done
  echo "$good"
}

groups() {
  local group=(--annotation io.containerd.runc.v2.group=g1)
  run g1 -d "${group[@]}" -- /bin/sh -c "$LOOP"
  run g2 -d "${group[@]}" -- /bin/sh -c "$LOOP"
  check "one shim serves a group" equals 1 "$(pids_with -namespace "$CTR_NAMESPACE" | wc -l)"
  ctr_ task rm --force g1 >/dev/null 2>&1
  check "the group's second container outlives the first" is_status g2 RUNNING
  ctr_ task rm --force g2 >/dev/null 2>&1
  check "the shim ends with the last" wait_until 5 no_shim
  ctr_ container rm g1 g2
}

no_shim() { [[ -z $(pids_with -namespace "$CTR_NAMESPACE") ]]; }

lost_shim() {
  local signal init shim
  for signal in KILL TERM; do
    run "l$signal" -d -- /bin/sh -c "$LOOP"
    init=$(pid_of "l$signal")
    shim=$(shim_of "l$signal")
    kill "-$signal" "$shim"
    check "SIG$signal to the shim ends its container" wait_until 5 gone "$init"
    check "and its task is gone" wait_until 5 is_status "l$signal" ""
    ctr_ container rm "l$signal"
  done
}

# start_shim DIR ID [INPUT]: the `start` action in a bundle of our own; prints what it says.
start_shim() {
  (cd "$1" && "$SHIM" -namespace "$CTR_NAMESPACE" -address "$RUN_DIR/c" -publish-binary /bin/true \
    -id "$2" start <"${3:-/dev/null}" 2>&1)
}

# What containerd 2 gives for a pod with users of its own: the owner of its streams, 100000.
options_with_users() { printf '\012\032containerd.runc.v1.Options\022\010\040\240\215\006\050\240\215\006'; }

bundle() {
  mkdir -p "$RUN_DIR/bundle-$1"
  echo "${2:-{\}}" >"$RUN_DIR/bundle-$1/config.json"
  echo "$RUN_DIR/bundle-$1"
}

command_line() {
  local first dir
  dir=$(bundle b1)
  export MOAT_IDLE_EXIT_MS=1500
  first=$(start_shim "$dir" b1)
  check "start prints an address and nothing else" contains <(echo "$first") "^unix://$RUN_DIR/s/[0-9a-f]{64}\$"
  check "a second start joins the first" equals "$first" "$(start_shim "$dir" b1)"
  check "binary options on its input change nothing" equals "$first" "$(options_with_users | start_shim "$dir" b1 /dev/stdin)"
  check "its address is in the bundle" equals "$first" "$(<"$dir/address")"
  check "one nobody talks to ends by itself" wait_until 10 no_shim
  check "and takes its socket along" equals "" "$(ls "$RUN_DIR/s")"
  unset MOAT_IDLE_EXIT_MS
  check "a config.json that is no JSON: one line, its place" contains \
    <(start_shim "$(bundle b2 '{"ociVersion": nope')" b2) '^moat: start: config.json: .*byte'
  check "a socket path too long: one line, the limit" contains \
    <(MOAT_SOCKET_DIR=$RUN_DIR/$(printf 'x%.0s' {1..60}) start_shim "$dir" b1) 'leaves room for 42'
  check "no namespace: exit 1" equals 1 "$(code_of "$SHIM" -id x start)"
  check "an unknown flag: exit 2" equals 2 "$(code_of "$SHIM" -colour start)"
  check "-v tells the version" contains <("$SHIM" -v) 'Version:'
  check "delete of what never was: exit 0" equals 0 "$(cd "$dir" && code_of "$SHIM" -namespace "$CTR_NAMESPACE" -id b1 delete)"
}

leftovers() {
  no_shim || pids_with -namespace "$CTR_NAMESPACE"
  grep "$RUN_DIR/state" /proc/self/mountinfo || true
  ls "$RUN_DIR/s"
  ls -A "/run/containerd/runc/$CTR_NAMESPACE" 2>/dev/null || true
  find "$RUN_DIR/state/io.containerd.runtime.v2.task" -mindepth 2 2>/dev/null || true
  own_cgroups | grep "/$CTR_NAMESPACE/." || true
}

begin "$@"
exits_and_streams
image_rootfs
tasks_and_execs
groups
lost_shim
command_line
check "nothing is left: processes, mounts, sockets, runtime state, bundles, cgroups" nothing leftovers
conclude
