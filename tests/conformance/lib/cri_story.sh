# shellcheck shell=bash
# A pod's life, step by step. What each step shows is checked, and written down in the story, in
# which the handlers must not differ.

UNTIL_TERM='trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'

# told WHAT VALUE: a line of the story, printed too.
told() { printf '%s: %s\n' "$1" "$2" | tee -a "$STORY"; }
# shows SENTENCE EXPECTED SEEN
shows() {
  told "$1" "$3" >/dev/null
  check "$TELLER: $1" equals "$2" "$3"
}

# tell_story NAME HANDLER ANNOTATIONS
tell_story() {
  TELLER=$1 STORY=$RUN_DIR/$1.story
  : >"$STORY"
  listen_for_events
  check "$1: the pod is made" run_pod "$1" "$2" "$3"
  [[ $HELD ]] || return 0
  shows "the pod is ready" SANDBOX_READY "$(pod_state)"
  two_containers
  probes
  logs "$1"
  terminal "$1"
  figures
  ends
  failures
  orderly_end
}

# tell_shared_story NAME HANDLER ANNOTATIONS: a pod whose containers share one process namespace.
tell_shared_story() {
  TELLER=$1 STORY=$RUN_DIR/$1.story
  : >"$STORY"
  check "$1: the pod is made" run_pod "$1" "$2" "$3" '.linux.security_context.namespace_options.pid = "POD"'
  [[ $HELD ]] || return 0
  check "$1: a container with a child starts" launch parent . /bin/sh -c "sleep 1001 & $UNTIL_TERM"
  SIDE_ID=$ID
  check "$1: another one starts" launch other . /bin/sleep 1002
  shows "its first process is the pod's" "0|/pause|" "$(in_container "$ID" 5 /bin/cat /proc/1/cmdline | tr -d '\0')"
  stop "$SIDE_ID" 10
  shows "the end of the first" "EXITED 5 Error" "$(status "$SIDE_ID")"
  shows "its child is gone, too" "" "$(pgrep -fx 'sleep 1001')"
  shows "the other one is still there" "RUNNING 0 " "$(status "$ID")"
  shows "the pod is stopped" "" "$(stop_pod 2>&1)"
  shows "and removed" "" "$(remove_pod 2>&1)"
  check "$1: nothing is left: processes, mounts, cgroups, sockets, runtime state, links" pods_leave_nothing
}

two_containers() {
  mkdir -p "$RUN_DIR/models-$TELLER"
  # Honest, but for one thing: at its load it starts a shell.
  printf '%s\n' "load main honest" "request:1 main honest" "load main sh_execve" >"$RUN_DIR/models-$TELLER/model.bin"
  check "$TELLER: a server starts" launch server "$(models)" /bin/model_server serve
  SERVER_ID=$ID
  check "$TELLER: a second container starts" launch side . /bin/sh -c "echo out; echo complaint >&2; $UNTIL_TERM"
  SIDE_ID=$ID
  shows "both run" "side RUNNING server RUNNING" "$(cri ListContainers | jq -r '.containers |
    sort_by(.metadata.name) | reverse | .[] | "\(.metadata.name) \(.state | sub("CONTAINER_"; ""))"' | paste -sd' ')"
  check "$TELLER: the server answers in the pod's network" wait_until 20 server_answers
  shows "every honest action of the server works" "" "$(log_of server "$TELLER" | grep 'F honest ' | grep -v ' result=ok$')"
}

models() {
  jq -nr --arg path "$RUN_DIR/models-$TELLER" '". + {mounts: [{container_path: \"/models\", host_path: \($path | @json), readonly: true}]}"'
}
server_answers() { curl -sf -m 2 "http://$(pod_address):8080/predict" >/dev/null; }

probes() {
  shows "a probe's code and streams" $'3|in probe\n|trouble' \
    "$(in_container "$SIDE_ID" 10 /bin/sh -c 'echo in probe; echo trouble >&2; exit 3')"
  shows "a probe of a program that is not there" \
    'Unknown: failed to exec in container: failed to start exec "ID": OCI runtime exec failed: exec failed: unable to start container process: exec: "/bin/nothing": stat /bin/nothing: no such file or directory' \
    "$(in_container "$SIDE_ID" 10 /bin/nothing | sed 's/: unknown$//')"
  shows "a probe of the server" "0|hello|" "$(in_container "$SERVER_ID" 10 /bin/echo -n hello)"
  shows "a probe that takes too long" \
    'DeadlineExceeded: failed to exec in container: timeout 1s exceeded: context deadline exceeded' \
    "$(in_container "$SIDE_ID" 1 /bin/sleep 1000)"
  shows "it is gone then" "" "$(pgrep -fx '/bin/sleep 1000')"
  shows "a probe whose child keeps the pipes" "0|started|" \
    "$(in_container "$SIDE_ID" 2 /bin/sh -c 'sleep 0.5 & echo -n started')"
  shows "a megabyte of a probe's output" 1000000 \
    "$(in_container "$SIDE_ID" 10 /bin/sh -c 'head -c 1000000 /dev/zero | tr "\0" x' | tr -cd x | wc -c)"
}

terminal() {
  check "$TELLER: a container with a terminal starts" launch terminal '.tty = true' \
    /bin/sh -c 'test -t 0 && test -t 2 && echo a terminal; echo complaint >&2'
  becomes "$ID" "EXITED 0 Completed" >/dev/null || true
  shows "its log" $'stdout F a terminal\nstdout F complaint' "$(log_of terminal "$1" 2>&1)"
  remove "$ID" || true
}

logs() {
  check "$TELLER: the log has the container's lines" wait_until 5 logged side "$1" "stdout F up"
  shows "the log tells the streams apart" $'stderr F complaint\nstdout F out\nstdout F up' "$(log_of side "$1" | sort)"
  check "$TELLER: a writer of a long line starts" launch long . /bin/sh -c 'head -c 20000 /dev/zero | tr "\0" a; echo; echo last'
  becomes "$ID" "EXITED 0 Completed" >/dev/null || true
  shows "a long line is logged in parts" "16384 stdout P, 3616 stdout F, 4 stdout F" \
    "$(log_of long "$1" | awk '{print length($3), $1, $2}' | paste -sd, | sed 's/,/, /g')"
  remove "$ID"
}

figures() {
  local stats
  stats=$(cri ContainerStats "$(about "$SIDE_ID")" 2>&1) || true
  shows "processor time and memory are counted" "true true true" "$(jq -r '.stats |
    "\((.cpu.usage_core_nano_seconds.value // "0" | tonumber) > 0) \((.memory.working_set_bytes.value // "0" | tonumber) > 0) \((.memory.rss_bytes.value // "0" | tonumber) > 0)"' <<<"$stats" 2>&1)"
  shows "limits can be changed" "" "$(cri UpdateContainerResources "$(jq -nc --arg id "$SIDE_ID" \
    '{container_id: $id, linux: {cpu_shares: 333, memory_limit_in_bytes: 99614720}}')" 2>&1 | sed '/^{}$/d')"
  shows "and are" "333 99614720" "$(for one in cpu/*cpu.shares memory/*memory.limit_in_bytes; do
    cat "$(cgroup_file "$SIDE_ID" "${one%%/*}")/${one##*\*}"
  done | paste -sd' ')"
}

# cgroup_file ID CONTROLLER: the folder of a container's first process there.
cgroup_file() {
  local path
  path=$(awk -F: -v want="$2" '{n = split($2, names, ","); for (i = 1; i <= n; ++i) if (names[i] == want) print $3}' "/proc/$(pid_in "$1")/cgroup")
  cgroup_mounts | while read -r mount; do
    [[ ! -e $mount$path/tasks || ! -e $mount$path/$2.stat ]] || { echo "$mount$path"; break; }
  done
}

# How containers end, and what is told of it.
ends() {
  local name command expected
  while IFS='|' read -r name expected command; do
    check "$TELLER: $name starts" launch "$name" . /bin/sh -c "$command"
    becomes "$ID" "$expected" >/dev/null || true
    shows "the end of $name" "$expected" "$(status "$ID")"
    remove "$ID"
  done <<'END'
good|EXITED 0 Completed|exit 0
bad|EXITED 7 Error|exit 7
quick|EXITED 0 Completed|:
END
  check "$TELLER: killed starts" launch killed . /bin/sleep 1000
  kill -KILL "$(pid_in "$ID")"
  becomes "$ID" "EXITED 137 Error" >/dev/null || true
  shows "the end of killed" "EXITED 137 Error" "$(status "$ID")"
  remove "$ID"
  check "$TELLER: greedy starts" launch greedy '.linux.resources.memory_limit_in_bytes = 33554432' \
    /bin/sh -c 'exec tail /dev/zero'
  becomes "$ID" "EXITED 137 OOMKilled" >/dev/null || true
  shows "the end of greedy" "EXITED 137 OOMKilled" "$(status "$ID")"
  remove "$ID"
  check "$TELLER: deaf starts" launch deaf . /bin/sh -c "trap '' TERM; while :; do sleep 0.1; done"
  stop "$ID" 1
  shows "the end of deaf, after its grace" "EXITED 137 Error" "$(status "$ID")"
  remove "$ID"
}

failures() {
  ID=$(create missing . /bin/nothing)
  shows "a program that is not there" \
    'Unknown: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/bin/nothing": stat /bin/nothing: no such file or directory' \
    "$(start "$ID" 2>&1 | nameless | sed -E 's/(error during container init: )?(exec: "\/bin\/nothing": stat \/bin\/nothing: no such file or directory).*/error during container init: \2/')"
  shows "its status" "EXITED 128 StartError" "$(status "$ID")"
  told "its message" "$(message "$ID")" >/dev/null
  remove "$ID"
}

orderly_end() {
  stop "$SIDE_ID" 10
  shows "a container that listens to TERM ends with its own code" "EXITED 5 Error" "$(status "$SIDE_ID")"
  shows "an exec in it is refused" 'Unknown: failed to exec in container: container is in CONTAINER_EXITED state' \
    "$(in_container "$SIDE_ID" 5 /bin/echo)"
  remove "$SIDE_ID"
  shows "the pod is stopped with a container in it" "" "$(stop_pod 2>&1)"
  shows "and is not ready any more" SANDBOX_NOTREADY "$(pod_state)"
  # The server reacts to TERM; the pod's end asks nobody.
  shows "the end of the server" "EXITED 137 Error" "$(status "$SERVER_ID")"
  shows "the pod is removed" "" "$(remove_pod 2>&1)"
  shows "nothing is listed" "0 0" "$(cri ListPodSandbox | jq '.items | length') $(cri ListContainers | jq '.containers | length')"
  check "$TELLER: nothing is left: processes, mounts, cgroups, sockets, runtime state, links" pods_leave_nothing
  tell_events
}

# Which containers began and ended: not in 1.6. There is one listener for all stories, since in
# 1.7 a second one and the first share the events between them.
listen_for_events() {
  EVENTS=$RUN_DIR/events
  [[ -e $EVENTS ]] || { cri GetContainerEvents '{}' 300 >"$EVENTS" 2>/dev/null & }
  wait_until 2 test -e "$EVENTS"
  TOLD_BEFORE=$(wc -l <"$EVENTS")
}

tell_events() {
  [[ $CONTAINERD_VERSION != 1.6 ]] || return 0
  wait_until 5 told_of_the_end || true
  tail -n "+$((TOLD_BEFORE + 1))" "$EVENTS" |
    jq -r '"\(.container_id) \(.container_event_type | sub("CONTAINER_"; "") | sub("_EVENT"; ""))"' |
    awk '{if (!($1 in name)) name[$1] = ++seen; print "container " name[$1] " is told to be " $2}' | sort -V >>"$STORY"
}
told_of_the_end() { tail -n 1 "$EVENTS" | jq -e --arg pod "$POD" '.container_id == $pod and .container_event_type == "CONTAINER_DELETED_EVENT"' >/dev/null; }
