#!/usr/bin/env bash
# Ways around the logic of enforcement rather than around one of its rules: being taken for the
# runtime, a program under its loader's name, an artifact by another mount or through a session, a
# supervisor without descriptors to look with. Each worked once.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

MODEL=/models/model.bin
LOADER=$(ldd /bin/sh | grep -oE '/[^ ]*/ld-[^ ]*')

make_hostile_image() {
  local file
  make_image
  install -m 755 "$MOAT_BIN/victims/intruder" "$IMAGE/bin/intruder"
  install -m 755 "$MOAT_BIN/victims/intruder.so" "$IMAGE/intruder.so"
  install -m 755 /bin/echo "$IMAGE/bin/echo"
  for file in $(ldd "$MOAT_TOOLS/usr/sbin/runc" /bin/echo | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
    install -D -m 755 "$(realpath "$file")" "$IMAGE$file"
  done
}

# intrude ID [ctr option...] -- WORD...: in enforce, with an artifact below /models.
intrude() {
  local id=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  run_container "$id" "$WORLD/rootfs" --runtime "$MOAT" --annotation moat.dev/mode=enforce \
    --annotation moat.dev/model-paths=/models \
    --mount "type=bind,src=$WORLD/models,dst=/models,options=rbind:ro" "${options[@]}" "$@"
}
world() {
  make_world "$1"
  echo artifact >"$WORLD/models/model.bin"
}
inside() { echo "/proc/$(<"$RUN_DIR/$1.pid")/root"; }
said() { wait_for "$1" "^$2: ok\$"; }
refused() { wait_for "$1" "^$2: E"; }
ended() { stop_container "$1" "$CTR_PID"; }

# The runtime's init is let through until it has become the container's program. An image can have
# it become itself once more, with a library of its own.
as_the_runtime() {
  world runtime
  intrude runtime --env LD_PRELOAD=/intruder.so \
    --env "INTRUDER=open $MODEL , exec-memory /bin/intruder say intruded , create /outside , say over" \
    -- /proc/self/exe init
  check "runtime: a library of the image runs in the runtime's own program" said runtime 'say over'
  check "runtime: it is in load" entered runtime load
  check "runtime: it is not let through for that" nothing grep '^say intruded' "$RUN_DIR/runtime.out"
  ended runtime
}

# Where a phase may run one program, its loader is no program.
under_the_loader() {
  cat >"$MOAT_POLICY_DIR/one.yaml" <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: one}
spec:
  extends: [builtin/python]
  phases:
    load:
      process: {exec: [/bin/echo, /usr/bin/echo]}
END
  world loader
  intrude loader --annotation moat.dev/profile=node/one -- /bin/intruder open "$MODEL" , \
    exec /bin/echo honest , exec-descriptor "$LOADER" /bin/sh -c "echo intruded" , \
    exec /bin/echo still honest , say over
  check "loader: the program ends" said loader 'say over'
  check "loader: what the phase lists runs, before and after" equals "honest still honest" \
    "$(grep -E '^(still )?honest$' "$RUN_DIR/loader.out" | paste -sd' ')"
  check "loader: a shell under the loader's name does not" nothing grep '^intruded' "$RUN_DIR/loader.out"
  check "loader: it is reported" test "$(count_kind loader violation)" -gt 0
  ended loader
}

# A volume's artifacts may lie on mounts of their own, or be reached by another name of the volume.
by_another_mount() {
  world mount
  mkdir "$WORLD/models/deep" "$WORLD/rootfs/other"
  mount -t tmpfs moat-deep "$WORLD/models/deep"
  echo artifact >"$WORLD/models/deep/model.bin"
  intrude mount -- /bin/intruder open /models/deep/model.bin , create /outside , say over
  check "mount: the program ends" said mount 'say over'
  check "mount: opening an artifact on a mount below the models ends init" entered mount load
  check "mount: so nothing is written outside" test ! -e "$WORLD/upper/outside"
  ended mount

  world alias
  mkdir -p "$WORLD/rootfs/other"
  intrude alias --mount "type=bind,src=$WORLD/models,dst=/other,options=rbind:ro" -- \
    /bin/intruder open /other/model.bin , create /outside , say over
  check "alias: the program ends" said alias 'say over'
  check "alias: opening an artifact by another mount of the same volume ends init" entered alias load
  check "alias: so nothing is written outside" test ! -e "$WORLD/upper/outside"
  ended alias

  # A thread inside a connect keeps `load` from beginning, and all marks are as they were.
  world retried
  mkdir -p "$WORLD/rootfs/other"
  intrude retried --mount "type=bind,src=$WORLD/models,dst=/other,options=rbind:ro" -- \
    /bin/intruder stick , open "$MODEL" , let-go , open /other/model.bin , create /outside , say over
  check "retried: the program ends" said retried 'say over'
  check "retried: an artifact stays closed while load cannot begin" refused retried "open $MODEL"
  check "retried: opening it by the other mount then ends init" entered retried load
  check "retried: so nothing is written outside" test ! -e "$WORLD/upper/outside"
  ended retried
}

# Untrusted bytes are inside from the first open of an artifact on, whoever holds them.
through_a_session() {
  world session
  intrude session -- /bin/intruder say begun , wait /tmp/go , create /outside , say over
  check "session: the server begins" said session 'say begun'
  check "session: a session reads the artifact" ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id copy session \
    /bin/sh -c "read -r line <$MODEL"
  check "session: which ends init" entered session load
  : >"$(inside session)/tmp/go"
  check "session: the program ends" said session 'say over'
  check "session: so nothing is written outside" test ! -e "$WORLD/upper/outside"
  ended session
}

# limit_to_one PID: so that one more descriptor is all it can have. As its user: root may not, without
# CAP_SYS_RESOURCE.
limit_to_one() {
  local next=0 user
  user=$(awk '/^Uid:/ {print $2}' "/proc/$1/status")
  while [[ -L /proc/$1/fd/$next ]]; do next=$((next + 1)); done
  setpriv --reuid "$user" --regid "$user" --clear-groups prlimit --pid "$1" --nofile=$((next + 1)):
}
without_descriptors() {
  world blind
  intrude blind -- /bin/intruder open "$MODEL" , say loaded , wait /tmp/go , open /root/.ssh/id_rsa , say over
  check "blind: the server loads" said blind 'say loaded'
  check "blind: the supervisor can open one file more" limit_to_one "$(supervisor_of blind)"
  : >"$(inside blind)/tmp/go"
  check "blind: the program ends" said blind 'say over'
  check "blind: a caller that cannot be looked at is refused" refused blind 'open /root/.ssh/id_rsa'
  ended blind
}

# A signal makes the runtime ask for its program once more.
asked_again() {
  local group storms=() i
  world again
  intrude again --annotation moat.dev/sessions=deny -- /bin/intruder open "$MODEL" , say loaded , stay
  check "again: the server loads" said again 'say loaded'
  group=/sys/fs/cgroup/unified$(sed -n 's/^0:://p' "/proc/$(<"$RUN_DIR/again.pid")/cgroup")
  [[ -d $group ]] || group=/sys/fs/cgroup${group#/sys/fs/cgroup/unified}
  check "again: its supervisor is slow" chrt --idle --all-tasks --pid 0 "$(supervisor_of again)"
  "$MOAT_BIN/victims/intruder" storm "$RUN_DIR/calm" "$group"{,/moat-session}/cgroup.procs &
  storms=($!)
  for i in 1 2 3 4 5 6 7 8; do
    timeout 10 "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" task exec --fifo-dir "$RUN_DIR/fifo" \
      --exec-id "s$i" again /bin/intruder say intruded >>"$RUN_DIR/again.sessions" 2>&1 </dev/null || true
  done
  : >"$RUN_DIR/calm"
  wait "${storms[@]}" || true
  check "again: a session that is denied never runs" nothing grep '^say intruded' "$RUN_DIR/again.sessions"
  ended again
}

# In places where only the kernel's own things are expected.
odd_places() {
  local point
  world odd
  mkdir "$WORLD/volume"
  echo secret >"$WORLD/volume/secret"
  intrude odd --mount "type=bind,src=$WORLD/volume,dst=/sys/power,options=rbind:rw" \
    --mount "type=bind,src=$WORLD/volume,dst=/dev/volume,options=rbind:rw" \
    --mount "type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=rw:nosuid:nodev:noexec" -- \
    /bin/intruder open "$MODEL" , open /sys/power/secret , open /dev/volume/secret , say loaded , stay
  check "odd: the server loads" said odd 'say loaded'
  check "odd: what is mounted below /sys is not read" refused odd 'open /sys/power/secret'
  check "odd: what is mounted below /dev is not read" refused odd 'open /dev/volume/secret'
  for point in /sys/power /dev/volume /sys/fs/cgroup; do
    check "odd: $point is read-only" nothing writable odd "$point"
  done
  ended odd
}
writable() { awk -v at="$2" '($5 == at || index($5, at "/") == 1) && ("," $6 ",") !~ /,ro,/' "/proc/$(<"$RUN_DIR/$1.pid")/mountinfo"; }

# A name that is no path must not end who reads it.
no_path() {
  world path
  intrude path -- /bin/intruder pipe-folder , open "$MODEL" , pipe-remove , say over , stay
  check "path: the program goes on" said path 'say over'
  check "path: the supervisor is the first one" nothing events path 'select(.kind == "health") | .message'
  ended path
}

# What a session reads is its own: a shell would do for the payload what the payload may not.
into_a_session() {
  local client
  world feed
  intrude feed -- /bin/intruder open "$MODEL" , say loaded , wait /tmp/go , feed "echo intruded" , say over , stay
  check "feed: the server loads" said feed 'say loaded'
  sleep 20 | timeout 20 "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" task exec \
    --fifo-dir "$RUN_DIR/fifo" --exec-id shell feed /bin/sh -c 'echo listening; exec /bin/sh' >"$RUN_DIR/feed.session" 2>&1 &
  client=$!
  check "feed: a session waits for what it is told" wait_until 10 grep -q listening "$RUN_DIR/feed.session"
  : >"$(inside feed)/tmp/go"
  check "feed: the program goes on" said feed 'say over'
  sleep 0.3
  check "feed: nobody else tells it" nothing grep intruded "$RUN_DIR/feed.session"
  check "feed: it was refused" refused feed 'feed echo intruded'
  ended feed
  kill "$client" 2>/dev/null || true
}

# No mount refuses to open a FIFO for writing: the names by which one is reached must not hide it.
names_of_fifos() {
  local reader
  world fifo
  mkfifo "$WORLD/rootfs/data/fifo"
  exec {reader}<>"$WORLD/rootfs/data/fifo"
  intrude fifo -- /bin/intruder write /data/fifo , open "$MODEL" , say loaded , write /data/fifo , \
    write-below /data fifo , write-over /data fifo , write-stream /data/fifo /dev/stdin , write-stream /data/fifo /proc/1/fd/0 , \
    write-stream /data/fifo /proc/self/fd/0 , write-stream /data/fifo /dev/stdout , say over
  check "fifo: the program ends" said fifo 'say over'
  check "fifo: it is written to in init, and not once the artifact is in" equals "write /data/fifo: ok" \
    "$(grep -E '^write.*: ok$' "$RUN_DIR/fifo.out" | grep -v "^write-stream /data/fifo: ok$")"
  check "fifo: by no other name" equals 1 "$(grep -cE '^write-stream /data/fifo: ok$' "$RUN_DIR/fifo.out")"
  exec {reader}>&-
  ended fifo
}

# A container may make moat say what it likes, but not fill the node's disk.
many_words() {
  local before
  world flood
  intrude flood -- /bin/intruder open "$MODEL" , say loaded , wait /tmp/go , often /root/.ssh/id_rsa 3000 , say over , stay
  check "flood: the server loads" said flood 'say loaded'
  truncate -s 65M "$(events_file flood)"
  : >"$(inside flood)/tmp/go"
  check "flood: the program goes on" said flood 'say over'
  before=$(tail -c 1000000 "$(events_file flood)" | tr -d '\0' | grep -c '"kind":"violation"')
  check "flood: of 3,000 refusals few are written to a long file ($before)" test "$before" -le 20
  check "flood: all are counted" test "$("$MOAT_BIN/moatctl" ps -o json | jq '[.. | .violations? // empty] | add')" -ge 3000
  ended flood
}

# refused_container ID REGEX ctr-option...: it is not created, and the message says why.
refused_container() {
  local id=$1 why=$2
  shift 2
  world "$id"
  intrude "$id" "$@" -- /bin/intruder say intruded
  check "$id: it does not run" wait_until 20 gone "$CTR_PID"
  check "$id: it is said why" contains "$RUN_DIR/$id.out" "$why"
  check "$id: its program has not run" nothing grep '^say' "$RUN_DIR/$id.out"
  ended "$id"
}
beyond_reach() {
  refused_container privileged 'every device of the node' --privileged
  refused_container hostpid "among the node's processes" --with-ns "pid:/proc/$$/ns/pid"
  refused_container hostmount 'no mount namespace of its own' --with-ns "mount:/proc/$$/ns/mnt"
}

begin_e2e "$@"
make_hostile_image
for part in ${MOAT_WAYS:-as_the_runtime under_the_loader by_another_mount through_a_session \
  without_descriptors asked_again odd_places no_path into_a_session names_of_fifos many_words beyond_reach}; do
  "$part"
done
conclude
