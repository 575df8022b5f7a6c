#!/usr/bin/env bash
# Docker's own daemon (Debian 13's, with its containerd) runs containers with the shim as it does
# with the stock one: exits, streams, execs, events, and its restarts under running containers.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel,suites} e2e/lib/{checks,small_rootfs} lib/node; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

DOCKER_TOOLS=$MOAT_CACHE/tools/docker
# shellcheck disable=SC2016  # the container's shell expands it
COUNTING='trap "exit 6" TERM; n=0; while :; do n=$((n + 1)); echo "line $n"; sleep 0.1; done'

docker_() { timeout 60 "$DOCKER_TOOLS/usr/bin/docker" -H "unix://$RUN_DIR/d" "$@"; }
docker_answers() { docker_ version >/dev/null 2>&1; }

# The daemon of the containers is the node's; with live-restore they outlive Docker's.
start_docker() {
  PATH=$MOAT_BIN:$SUITE_PATH:$DOCKER_TOOLS/usr/bin:$DOCKER_TOOLS/usr/sbin:$PATH \
    setsid "$DOCKER_TOOLS/usr/sbin/dockerd" --config-file "$RUN_DIR/etc/docker.json" --data-root "$RUN_DIR/docker" \
    --exec-root "$RUN_DIR/x" --pidfile "$RUN_DIR/docker.pid" -H "unix://$RUN_DIR/d" --containerd "$RUN_DIR/c" \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false --storage-driver overlay2 --live-restore \
    --cgroup-parent "/$CTR_NAMESPACE" --exec-opt native.cgroupdriver=cgroupfs \
    >>"$RUN_DIR/dockerd.log" 2>&1 </dev/null &
  DOCKERD_PID=$!
  wait_until 20 docker_answers && return
  tail -n 15 "$RUN_DIR/dockerd.log" >&2
  die "Docker's daemon did not start; its last lines are above"
}

stop_docker() {
  kill "-$1" "$DOCKERD_PID"
  wait "$DOCKERD_PID" 2>/dev/null || true
}

begin() {
  [[ ${MOAT_NODE:-} ]] || with_cache_lock fetch_debs trixie docker docker.io docker-cli
  begin_node 1.7 "$@"
  mkdir "$RUN_DIR/home"
  export HOME=$RUN_DIR/home
  echo '{}' >"$RUN_DIR/etc/docker.json"
  start_docker
  small_rootfs "$RUN_DIR/app"
  tar -C "$RUN_DIR/app" -c . | docker_ import - small:1 >/dev/null
}

# shows SENTENCE EXPECTED SEEN: a check, and a line of the story, in which runtimes must not differ.
shows() {
  printf '%s: %s\n' "$1" "$3" >>"$STORY"
  check "$TELLER: $1" equals "$2" "$3"
}

run() { docker_ run --network none --env PATH=/bin --runtime "$RUNTIME" "${ANNOTATIONS[@]}" "$@"; }
code_of() { "$@" >/dev/null 2>&1 && echo 0 || echo $?; }
said() { "$@" 2>&1 | sed -E 's/[0-9a-f]{64}/ID/g; s/^(time=[^ ]* )?//' | tr -d '\r'; }
inspected() { docker_ inspect -f "$2" "$1"; }
state_of() { inspected "$1" '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}'; }
state_is() { [[ $(state_of "$1") == "$2" ]]; }
becomes() { wait_until 15 state_is "$1" "$2" || equals "$2" "$(state_of "$1")"; }

tell_story() {
  TELLER=$1 RUNTIME=$2 STORY=$RUN_DIR/$1.story
  shift 2
  ANNOTATIONS=("$@")
  : >"$STORY"
  SINCE=$(date +%s.%N)
  in_front
  in_background
  told_events 1 update
  restarts
  SINCE=$(date +%s.%N)
  ends
  told_events 4 destroy
  check "$TELLER: nothing is left: processes, mounts, cgroups, sockets, runtime state" docker_leaves_nothing
}

in_front() {
  shows "the exit code is the process's" 7 "$(code_of run --rm small:1 /bin/sh -c 'exit 7')"
  shows "stdout and stderr are told apart" "out|err" "$(run --rm small:1 /bin/sh -c 'echo out; echo err >&2' 2>"$RUN_DIR/err")|$(<"$RUN_DIR/err")"
  shows "input arrives, and its end" 300000 "$(head -c 300000 /dev/zero | run --rm -i small:1 /bin/cat | wc -c)"
  shows "a missing program: 127" 127 "$(code_of run --rm small:1 /bin/nothing)"
  shows "and why" 'exec: "/bin/nothing": stat /bin/nothing: no such file or directory' \
    "$(said run --rm small:1 /bin/nothing | grep -o 'exec: "/bin/nothing".*directory' | head -n 1)"
  shows "a terminal is one" "a terminal" "$(said script -qec "$(terminal_command)" /dev/null </dev/null)"
}

terminal_command() {
  printf '%q ' "$DOCKER_TOOLS/usr/bin/docker" -H "unix://$RUN_DIR/d" run --rm -t --network none --env PATH=/bin \
    --runtime "$RUNTIME" "${ANNOTATIONS[@]}" small:1 /bin/sh -c 'test -t 0 && echo a terminal'
}

in_background() {
  run -d --name counter small:1 /bin/sh -c "$COUNTING" >/dev/null
  shows "a detached container runs" "running 0 false" "$(state_of counter)"
  shows "exec: code and output" "3|inside" "$(docker_ exec counter /bin/sh -c 'echo inside; exit 3' >"$RUN_DIR/out"; echo $?)|$(<"$RUN_DIR/out")"
  shows "exec: input" "some words" "$(echo some words | docker_ exec -i counter /bin/cat)"
  shows "exec: a missing program: 126" 126 "$(code_of docker_ exec counter /bin/nothing)"
  shows "its processes are listed" "/bin/sh" "$(docker_ top counter -o pid,args | grep -o '/bin/sh')"
  docker_ pause counter >/dev/null
  shows "a paused one says so" "paused 0 false" "$(state_of counter)"
  shows "an exec in it is refused" 1 "$(code_of docker_ exec counter /bin/true)"
  docker_ unpause counter >/dev/null
  shows "and runs again" "running 0 false" "$(state_of counter)"
  shows "its memory is counted" yes "$(docker_ stats --no-stream --format '{{.MemUsage}}' counter 2>&1 | grep -qE '^[1-9]|^0\.[0-9]*[1-9]' && echo yes)"
  shows "limits can be changed" "0 67108864" "$(code_of docker_ update --memory 64m --memory-swap 64m counter) $(limit_of counter)"
}

limit_of() {
  local path
  path=$(awk -F: '$2 == "memory" {print $3}' "/proc/$(inspected "$1" '{{.State.Pid}}')/cgroup")
  cgroup_mounts | while read -r mount; do cat "$mount$path/memory.limit_in_bytes" 2>/dev/null || true; done
}

# Docker's daemon, and then the containers', under a running container and one that ends meanwhile.
restarts() {
  mkdir -p "$RUN_DIR/wait"
  local pid
  pid=$(inspected counter '{{.State.Pid}}')
  run -d --name ending -v "$RUN_DIR/wait:/wait:ro" small:1 /bin/sh -c "while ! [ -e /wait/$TELLER ]; do sleep 0.05; done; exit 9" >/dev/null
  stop_docker TERM
  : >"$RUN_DIR/wait/$TELLER"
  sleep 0.3
  start_docker
  shows "after Docker's restart the container is the same process" "running 0 false same" \
    "$(state_of counter) $(same_process "$pid")"
  becomes ending "exited 9 false" >/dev/null || true
  shows "what ended meanwhile has its code" "exited 9 false" "$(state_of ending)"
  stop_daemon KILL
  start_daemon
  wait_until 10 docker_answers
  wait_until 10 exec_works || true
  shows "after containerd's restart, too" "running 0 false same" "$(state_of counter) $(same_process "$pid")"
  shows "and an exec works" "still inside" "$(docker_ exec counter /bin/echo still inside 2>&1)"
  shows "no line of the log is missing" "" "$(docker_ logs counter | awk '$2 != last + 1 {print "after", last, "comes:", $0} {last = $2}')"
}
same_process() { if [[ $(inspected counter '{{.State.Pid}}') == "$1" ]]; then echo same; else echo another; fi; }
exec_works() { docker_ exec counter /bin/true >/dev/null 2>&1; }

ends() {
  docker_ stop -t 10 counter >/dev/null
  shows "stop: the container's own code" "exited 6 false" "$(state_of counter)"
  docker_ start counter >/dev/null
  shows "it can be started again" "running 0 false" "$(state_of counter)"
  docker_ kill counter >/dev/null
  becomes counter "exited 137 false" >/dev/null || true
  shows "kill: 137" "exited 137 false" "$(state_of counter)"
  run -d --name deaf small:1 /bin/sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
  docker_ stop -t 1 deaf >/dev/null
  shows "stop: KILL for who does not listen" "exited 137 false" "$(state_of deaf)"
  run -d --name greedy --memory 32m --memory-swap 32m small:1 /bin/sh -c 'exec tail /dev/zero' >/dev/null
  becomes greedy "exited 137 true" >/dev/null || true
  shows "out of memory is told" "exited 137 true" "$(state_of greedy)"
  shows "wait tells the code" 9 "$(docker_ wait ending)"
  shows "all are removed" "counter deaf ending greedy" "$(docker_ rm counter deaf ending greedy | paste -sd' ')"
}

# told_events COUNT EVENT: what Docker told since SINCE, when so many of one kind are among it. Those in
# front have names of Docker's making; each container's own order is kept. When Docker tells of its
# own `stop` is chance.
told_events() {
  wait_until 5 events_reach "$@" || true
  events_since | sed -E '/^(counter|ending|deaf|greedy) /!s/^[^ ]+ /one /; s/ <no value>$//; / stop$/d' |
    sort -s -k1,1 >>"$STORY"
}
events_since() {
  docker_ events --since "$SINCE" --until "$(date +%s.%N)" --filter type=container \
    --format '{{.Actor.Attributes.name}} {{.Action}} {{.Actor.Attributes.exitCode}}'
}
events_reach() { (($(events_since | grep -c " $2 ") == $1)); }

docker_leaves_nothing() { wait_until 5 no_docker_leftovers || nothing docker_leftovers; }
no_docker_leftovers() { [[ -z $(docker_leftovers) ]]; }
docker_leftovers() {
  node_leftovers
  find "$RUN_DIR/x" -type p -printf 'pipe %p\n'
  find "$RUN_DIR/x/runtime-runc" -mindepth 2 -printf 'runtime %p\n' 2>/dev/null || true
}

SMALL_PROGRAMS+=(tail)
begin "$@"
tell_story stock io.containerd.runc.v2
tell_story off io.containerd.moat.v2 --annotation moat.dev/mode=off
check "off: the story is the stock shim's" same "$RUN_DIR/stock.story" "$RUN_DIR/off.story"
tell_story audit io.containerd.moat.v2 --annotation moat.dev/mode=audit
check "audit: the story is the stock shim's" same "$RUN_DIR/stock.story" "$RUN_DIR/audit.story"
conclude
