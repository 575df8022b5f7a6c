#!/usr/bin/env bash
# A runtime that hangs or floods, a disk that is full, a log nobody reads, a client that never reads:
# each costs the request it belongs to, within a bound, and nobody else.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,leftovers,daemon,order}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

export MOAT_RUNC_TIMEOUT_MS=2500
GROUP='.annotations["io.containerd.runc.v2.group"] = "faults"'
SLEEP='{"cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "1000"]}'

# life ID [RUNTIME]: one from Create to Delete; prints the codes.
life() {
  new_bundle "$1" "$GROUP"
  play <<END | awk -F ' [|] ' '{print $2}' | sort | uniq -c | awk '{print $2 "*" $1}' | paste -sd' '
c | Create id=$1 bundle=$RUN_DIR/b/$1 ${2:+runtime=$2}
s | Start id=$1
k | Kill id=$1 signal=9
w | Wait id=$1
d | Delete id=$1
END
}

# others_live SITUATION: what a node must still be able to do, while it lasts.
others_live() {
  check "$1: State, Pids and Connect are answered" equals 3 "$(
    printf 'State | State id=main patience=1500\nPids | Pids id=main patience=1500\nConnect | Connect id=main patience=1500\n' |
      play | grep -c ' | OK | '
  )"
  check "$1: another container of the pod lives its whole life" equals "OK*5" "$(life other)"
}

# hanging COMMAND SITUATION CALL ANSWER: a call whose runtime never ends.
hanging() {
  touch "$FAULTS/hang-$1"
  : >"$FAULTS/calls"
  play <<<"answer | $3" >"$RUN_DIR/hanging" &
  local asking=$!
  wait_until 5 test -s "$FAULTS/calls"
  others_live "$2"
  check "$2: it is still being waited for" kill -0 "$asking"
  wait "$asking"
  check "$2: the call itself ends with an error that says so" contains "$RUN_DIR/hanging" "$4"
  check "$2: no runtime is left" wait_until 2 no_runtime
  rm "$FAULTS/hang-$1"
}
no_runtime() { ! pgrep -f "^sleep 1000\$|^(/bin/sh )?$FAULTS/runc" >/dev/null; }

FAILED="^[a-z]* \| (Unknown|DeadlineExceeded) \| 'OCI runtime"
GAVE_UP='runc did not finish within 2 s and was killed'

hangs() {
  local init
  faulty_runtime
  echo "$SLEEP" >"$RUN_DIR/sleep.json"
  new_bundle main "$GROUP"
  start_by_hand main
  play <<END >/dev/null
c | Create id=main bundle=$RUN_DIR/b/main runtime=$FAULTS/runc
s | Start id=main
e | Exec id=main exec=e1 spec=@$RUN_DIR/sleep.json
END
  new_bundle born "$GROUP"
  hanging create "a create that hangs" "Create id=born bundle=$RUN_DIR/b/born runtime=$FAULTS/runc" \
    "$FAILED create failed: .*$GAVE_UP"
  check "what it was to create can be created then" equals "OK*5" "$(life born "$FAULTS/runc")"
  new_bundle begun "$GROUP"
  play <<<"c | Create id=begun bundle=$RUN_DIR/b/begun runtime=$FAULTS/runc" >/dev/null
  hanging start "a start that hangs" "Start id=begun" "$FAILED start failed: .*$GAVE_UP"
  check "its container can be killed and deleted" equals "OK*3" \
    "$(printf 'k | Kill id=begun signal=9\nw | Wait id=begun\nd | Delete id=begun\n' | play | awk '{print $3}' | uniq -c | awk '{print $2 "*" $1}')"
  hanging exec "an exec that hangs" "Start id=main exec=e1" "$FAILED exec failed: .*$GAVE_UP"
  check "its exec is as after any failure" contains <(play <<<"s | State id=main exec=e1") "^s \| OK \| .*status=1 "
  hanging update "an update that hangs" "Update id=main resources={}" "$FAILED update failed: .*$GAVE_UP"
  needs_no_runtime
  init=$(cat "$RUN_DIR/b/main/init.pid")
  touch "$FAULTS/hang-delete"
  check "a delete that hangs: an error" contains <(play <<<"d | Delete id=main") "$FAILED delete failed: .*$GAVE_UP"
  rm "$FAULTS/hang-delete"
  check "the next one succeeds" contains <(play <<<"d | Delete id=main") '^d \| OK'
  echo "- | Shutdown id=main" | play
  check "the shim ends" wait_until 5 no_shim_at main
}

no_shim_at() { [[ -z $(shim_at "$1") ]]; }

# Nobody asks the runtime for what the kernel knows: one that hangs delays none of it, least of all
# the end of a pod.
needs_no_runtime() {
  local method
  for method in pause resume state ps kill events stats; do touch "$FAULTS/hang-$method"; done
  check "the kernel answers without the runtime" equals "OK*7" "$(play <<END | awk '{print $3}' | uniq -c | awk '{print $2 "*" $1}'
p | Pause id=main patience=1500
s | State id=main patience=1500
r | Resume id=main patience=1500
l | Pids id=main patience=1500
t | Stats id=main patience=1500
k | Kill id=main signal=0 patience=1500
a | Pause id=main patience=1500
END
)"
  check "SIGKILL ends what is paused, at once" contains \
    <(printf 'k | Kill id=main signal=9\nw | Wait id=main patience=1500\n' | play) '^w \| OK \| .*exit=137'
  for method in pause resume state ps kill events stats; do rm "$FAULTS/hang-$method"; done
}

floods() {
  local command shim
  new_bundle main "$GROUP"
  start_by_hand main
  shim=$(shim_at main)
  play <<END >/dev/null
c | Create id=main bundle=$RUN_DIR/b/main runtime=$FAULTS/runc
s | Start id=main
e | Exec id=main exec=e1 spec=@$RUN_DIR/sleep.json
END
  touch "$FAULTS/flood-exec" "$FAULTS/flood-create"
  play <<<"s | Start id=main exec=e1" >"$RUN_DIR/flood"
  check "a megabyte of errors of an exec: a bounded answer" contains "$RUN_DIR/flood" '^s \| Unknown \| .OCI runtime exec failed: '
  check "of at most 64 KiB of it" test "$(wc -c <"$RUN_DIR/flood")" -lt 70000
  new_bundle flood "$GROUP"
  check "a megabyte of errors of a create: an answer" contains \
    <(play <<<"c | Create id=flood bundle=$RUN_DIR/b/flood runtime=$FAULTS/runc") '^c \| Unknown \| .OCI runtime create failed: '
  rm "$FAULTS/flood-exec" "$FAULTS/flood-create"
  check "the shim is the same and small" test "$(awk '/^VmRSS/ {print $2}' "/proc/$shim/status")" -lt 20000
  others_live "after the floods"
}

# The bundle's file system has no byte left.
full_disk() {
  local dir=$RUN_DIR/b/full
  mkdir -p "$dir"
  mount -t tmpfs -o size=64k moat-full "$dir"
  new_bundle full "$GROUP"
  cat /dev/zero >"$dir/filler" 2>/dev/null || true
  check "a full disk: Create says so" contains \
    <(play <<<"c | Create id=full bundle=$dir") '^c \| Unknown \| .*No space left on device'
  others_live "a full disk"
  rm "$dir/filler"
  echo "c | Create id=full bundle=$dir
s | Start id=full
e | Exec id=full exec=e1 spec=@$RUN_DIR/sleep.json" | play >"$RUN_DIR/full"
  check "with space again the same container is created" equals 3 "$(grep -c ' | OK | ' "$RUN_DIR/full")"
  cat /dev/zero >"$dir/filler" 2>/dev/null || true
  check "a full disk: an exec says so" contains <(play <<<"s | Start id=full exec=e1") '^s \| Unknown \| .*[Nn]o space left on device'
  check "and its container runs, is killed and deleted" equals "OK*4" \
    "$(printf 's | State id=full\nk | Kill id=full signal=9\nw | Wait id=full\nd | Delete id=full\n' | play | awk '{print $3}' | uniq -c | awk '{print $2 "*" $1}')"
  umount "$dir"
}

# The log's reader stops reading, then goes.
mute_log() {
  local reader=${LOG_READERS[-1]} fifo=$RUN_DIR/b/main/log
  kill -STOP "$reader"
  dd if=/dev/zero of="$fifo" oflag=nonblock bs=4096 count=64 2>/dev/null || true
  kill -USR1 "$(shim_at main)"
  others_live "a log that is full"
  kill -KILL "$reader"
  wait "$reader" 2>/dev/null || true
  kill -USR1 "$(shim_at main)"
  others_live "a log without a reader"
}

# Requests without end, and not one answer read.
deaf_client() {
  local shim client
  shim=$(shim_at main)
  { while printf '\0\0\0\0\0\0\0\1\1\0%.0s' {1..1000}; do :; done; } 2>/dev/null |
    socat -u - "UNIX-CONNECT:$SOCKET" 2>/dev/null &
  client=$!
  sleep 1.5
  others_live "a client that never reads"
  check "its answers take bounded memory" test "$(awk '/^VmRSS/ {print $2}' "/proc/$shim/status")" -lt 40000
  kill "$client" 2>/dev/null || true
  wait "$client" 2>/dev/null || true
  others_live "a client that has gone"
}

# Whole frames of random content; what comes back is an error each, and nothing else happens.
random_frames() {
  local i
  RANDOM=20
  for i in {1..200}; do
    echo "frame | raw 0 $((RANDOM % 2 * 2 + 1)) $(head -c $((RANDOM % 90 + 1)) /dev/urandom | od -An -v -tx1 | tr -d ' \n')"
    ((i % 20)) || echo reconnect
  done | play >"$RUN_DIR/frames"
  check "200 random frames: each is refused" equals 200 "$(grep -cE '^frame \| (InvalidArgument|Unimplemented) ' "$RUN_DIR/frames")"
  others_live "after random frames"
}

descriptors() { find "/proc/$(shim_at main)/fd" -mindepth 1 | wc -l; }

begin_by_hand "$@"
hangs
floods
before=$(descriptors)
full_disk
mute_log
deaf_client
random_frames
check "the shim has as many descriptors as before" equals "$before" "$(descriptors)"
printf -- '- | Kill id=main signal=9\n- | Wait id=main\n- | Delete id=main\n- | Shutdown id=main\n' | play
check "all events of this run are in order" nothing disorder "$RUN_DIR/events"
check "nothing is left" leaves_nothing
conclude
