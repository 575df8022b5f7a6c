# shellcheck shell=bash disable=SC2034
# Pods as the kubelet would make them: the configurations, the calls, what came of them.

# begin_cri VERSION "$@": a node with images.
begin_cri() {
  begin_node "$@"
  make_images
}

make_images() {
  mkdir -p "$RUN_DIR/pause" "$RUN_DIR/app"
  cp "$MOAT_BIN/tools/pause" "$RUN_DIR/pause/pause"
  SMALL_PROGRAMS+=(tail tr mount id)
  small_rootfs "$RUN_DIR/app"
  mkdir -p "$RUN_DIR"/app/{models,data,usr/lib,var/log,var/tmp,root,run}
  chmod 1777 "$RUN_DIR/app/tmp" "$RUN_DIR/app/var/tmp"
  cp "$MOAT_BIN/victims/model_server" "$RUN_DIR/app/bin/model_server"
  "$MOAT_BIN/victims/model_server" plant "$RUN_DIR/app"
  printf '\177ELF%4092s' honest >"$RUN_DIR/app/usr/lib/libhonest.so"
  echo root:x:0:0:root:/root:/bin/sh >"$RUN_DIR/app/etc/passwd"
  # The entry is what a pod starts that names no command.
  small_image "$RUN_DIR/pause" moat.test/pause:1 /pause
  small_image "$RUN_DIR/app" moat.test/app:1
}

# run_pod NAME HANDLER [ANNOTATIONS [JQ]]: POD, its id, and POD_CONFIG, which JQ may change.
run_pod() {
  POD=
  POD_CONFIG=$(jq -nc --arg name "$1" --arg logs "$RUN_DIR/pods/$1" --arg parent "/$CTR_NAMESPACE" \
    --argjson annotations "${3:-{\}}" '{
      metadata: {name: $name, uid: ("uid-" + $name), namespace: "default"},
      hostname: $name, log_directory: $logs, annotations: $annotations,
      linux: {cgroup_parent: $parent, security_context: {namespace_options: {pid: "CONTAINER"}}}} | '"${4:-.}")
  POD=$(cri RunPodSandbox "$(jq -nc --argjson config "$POD_CONFIG" --arg handler "$2" \
    '{config: $config, runtime_handler: $handler}')" | jq -r .pod_sandbox_id)
  [[ $POD ]]
}

# create NAME JQ COMMAND...: a container in the pod; prints its id. JQ adds to its configuration.
create() {
  local name=$1 more=$2
  shift 2
  cri CreateContainer "$(jq -nc --arg pod "$POD" --argjson pod_config "$POD_CONFIG" --arg name "$name" \
    '{pod_sandbox_id: $pod, sandbox_config: $pod_config, config: ({
      metadata: {name: $name}, image: {image: "moat.test/app:1"}, command: $ARGS.positional,
      envs: [{key: "PATH", value: "/bin"}], log_path: ($name + ".log"),
      annotations: ($pod_config.annotations // {}),
      linux: {resources: {oom_score_adj: 100}, security_context: {
        namespace_options: $pod_config.linux.security_context.namespace_options,
        seccomp: {profile_type: "RuntimeDefault"}}}} | '"$more"')}' --args -- "$@")" | jq -r .container_id
}

about() { jq -nc --arg id "$1" '{container_id: $id}'; }
start() { cri StartContainer "$(about "$1")" >/dev/null; }
stop() { cri StopContainer "$(jq -nc --arg id "$1" --argjson grace "$2" '{container_id: $id, timeout: $grace}')" >/dev/null; }
remove() { cri RemoveContainer "$(about "$1")" >/dev/null; }
about_pod() { jq -nc --arg id "$POD" '{pod_sandbox_id: $id}'; }
stop_pod() { cri StopPodSandbox "$(about_pod)" >/dev/null; }
remove_pod() { cri RemovePodSandbox "$(about_pod)" >/dev/null; }

# A container NAME from its configuration to its start: its id is in ID.
launch() { ID=$(create "$@") && [[ $ID ]] && start "$ID"; }

# status ID: "STATE EXIT_CODE REASON"
status() {
  cri ContainerStatus "$(about "$1")" |
    jq -r '.status | "\(.state | sub("CONTAINER_"; "")) \(.exit_code) \(.reason)"'
}
status_is() { [[ $(status "$1") == "$2" ]]; }
# becomes ID STATUS: within a time; shows what it is otherwise.
becomes() { wait_until 15 status_is "$1" "$2" || equals "$2" "$(status "$1")"; }

# message ID: what is said of its end, without what differs between any two containers.
message() { cri ContainerStatus "$(about "$1")" | jq -r .status.message | nameless; }
nameless() { sed -E 's/[0-9a-f]{64}/ID/g; s/pid [0-9]+/pid N/g'; }

# in_container ID SECONDS COMMAND...: ExecSync; "CODE|stdout|stderr", or what went wrong.
in_container() {
  local id=$1 seconds=$2
  shift 2
  cri ExecSync "$(jq -nc --arg id "$id" --argjson seconds "$seconds" \
    '{container_id: $id, timeout: $seconds, cmd: $ARGS.positional}' --args -- "$@")" 2>&1 |
    jq -Rr 'fromjson? // . | if type == "object" then "\(.exit_code)|\(.stdout | @base64d)|\(.stderr | @base64d)" else . end' |
    nameless
}

pid_in() { cri ContainerStatus "$(jq -nc --arg id "$1" '{container_id: $id, verbose: true}')" | jq -r '.info.info | fromjson | .pid'; }
pod_address() { cri PodSandboxStatus "$(about_pod)" | jq -r .status.network.ip; }
pod_state() { cri PodSandboxStatus "$(about_pod)" | jq -r .status.state; }

# log_of NAME POD_NAME: the log as the kubelet reads it, without the times.
log_of() { sed -E 's/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+) //' "$RUN_DIR/pods/$2/$1.log"; }
logged() { log_of "$1" "$2" 2>/dev/null | grep -qxF -- "$3"; }
