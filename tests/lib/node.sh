# shellcheck shell=bash disable=SC2034
# A node for one test: containerd with its CRI plugin and a pod network. It has its own network,
# mounts and processes, so that whatever happens in it ends with it.

CRI_CALL=$MOAT_BIN/tools/cri_call

# begin_node VERSION "$@": the script goes on in the node's namespaces, with its containerd running.
begin_node() {
  local version=$1
  shift
  need_root "$@"
  [[ -x $CRI_CALL && -x $MOAT_BIN/containerd-shim-moat-v2 && -x $MOAT_BIN/victims/model_server ]] ||
    die "$CRI_CALL or the shim is not built; run tests/run.sh --build-only" 2
  if [[ ! ${MOAT_NODE:-} ]]; then
    fetch_suite "$version"
    with_cache_lock fetch_debs bookworm cni containernetworking-plugins
    run_in_node "$@"
  fi
  use_suite "$version"
  RUN_DIR=$MOAT_NODE CONTAINERD_VERSION=$version CTR_NAMESPACE=moat-${MOAT_NODE##*.}
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  make_node
  start_daemon
}

# run_in_node "$@": the script again, as the first process of the node, and its status. What is the
# machine's, a folder and cgroups, is removed from out here, whatever became of the node.
run_in_node() {
  MOAT_NODE=$(mktemp -d /tmp/moat.XXXXXX)
  CTR_NAMESPACE=moat-${MOAT_NODE##*.}  # the cgroup of all containers
  export MOAT_NODE
  trap leave_node EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc \
    --propagation private bash "$0" "$@" &
  NODE_PID=$!
  local status=0
  wait "$NODE_PID" || status=$?
  exit "$status"
}

leave_node() {
  trap '' INT TERM HUP
  { kill -KILL "$NODE_PID" && wait "$NODE_PID"; } 2>/dev/null || true
  remove_cgroups
  rmdir "$MOAT_NODE"
}

# The tmpfs mounts hide what the machine has there, and can be an overlay's upper layer anywhere.
make_node() {
  mount -t tmpfs -o mode=711 moat-node "$RUN_DIR"
  mount -t tmpfs -o mode=755 moat-node /run
  mkdir -p "$RUN_DIR"/{etc/policies,log,run,pods,cni/conf,lib} /run/netns
  mount --bind "$RUN_DIR/lib" /var/lib
  ip link set lo up
  cni_config >"$RUN_DIR/cni/conf/10-pods.conflist"
  export MOAT_POLICY_DIR=$RUN_DIR/etc/policies MOAT_LOG_DIR=$RUN_DIR/log MOAT_STATE_DIR=$RUN_DIR/run
  export MOAT_CONFIG=$RUN_DIR/etc/moat.yaml MOAT_FLOOR=$RUN_DIR/etc/floor.yaml
  containerd_config >"$RUN_DIR/containerd.toml"
}

cni_config() {
  cat <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{
  "type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "$RUN_DIR/cni/data",
    "ranges": [[{"subnet": "10.88.7.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
}

# The plugin's two parts have had names of their own since 2.0.
containerd_config() {
  local version=2 runtime=io.containerd.grpc.v1.cri
  [[ $CONTAINERD_VERSION != 2.* ]] || version=3 runtime=io.containerd.cri.v1.runtime
  cat <<END
version = $version
root = "$RUN_DIR/root"
state = "$RUN_DIR/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.nri.v1.nri"]
[grpc]
  address = "$RUN_DIR/c"
[ttrpc]
  address = "$RUN_DIR/c.ttrpc"
[plugins."$runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
$(sandbox_image)
[plugins."$runtime".cni]
$(cni_folder)
  conf_dir = "$RUN_DIR/cni/conf"
[plugins."$runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
$(for handler in moat moat-path; do moat_handler "$runtime" "$handler"; done)
END
}

sandbox_image() {
  if [[ $CONTAINERD_VERSION == 2.* ]]; then
    printf '[plugins."io.containerd.cri.v1.images".pinned_images]\n  sandbox = "moat.test/pause:1"\n'
  else
    printf '  sandbox_image = "moat.test/pause:1"\n'
  fi
}

cni_folder() {
  local folder=\"$MOAT_CACHE/tools/cni/usr/lib/cni\"
  if [[ $CONTAINERD_VERSION == 2.* ]]; then echo "  bin_dirs = [$folder]"; else echo "  bin_dir = $folder"; fi
}

# Both registrations: by name, and as runc with another path.
moat_handler() {
  echo "[plugins.\"$1\".containerd.runtimes.$2]"
  echo '  pod_annotations = ["moat.dev/*", "*.moat.dev/*"]'
  echo '  container_annotations = ["moat.dev/*", "*.moat.dev/*"]'
  if [[ $2 == moat ]]; then
    echo '  runtime_type = "io.containerd.moat.v2"'
  else
    echo '  runtime_type = "io.containerd.runc.v2"'
    echo "  runtime_path = \"$MOAT_BIN/containerd-shim-moat-v2\""
  fi
}

# containerd 1.6 knows the key runtime_path and does not heed it: the stock shim would run.
by_path() { [[ $CONTAINERD_VERSION == 1.6 ]] && echo moat || echo moat-path; }

start_daemon() {
  PATH=$MOAT_BIN:$SUITE_PATH:$PATH setsid "$SUITE_BIN/containerd" --config "$RUN_DIR/containerd.toml" \
    >>"$RUN_DIR/containerd.log" 2>&1 </dev/null &
  CONTAINERD_PID=$!
  wait_until 30 daemon_settled && kill -0 "$CONTAINERD_PID" 2>/dev/null && return
  tail -n 15 "$RUN_DIR/containerd.log" >&2
  die "containerd $CONTAINERD_VERSION did not start; its last lines are above"
}

daemon_settled() { ! kill -0 "$CONTAINERD_PID" 2>/dev/null || node_ready 2>/dev/null; }
node_ready() { cri Status | jq -e '[.status.conditions[] | select(.type | test("^(Runtime|Network)Ready$")) | .status] == [true, true]' >/dev/null; }

# stop_daemon SIGNAL: containerd only; its shims go on.
stop_daemon() {
  { kill "-$1" "$CONTAINERD_PID" && wait "$CONTAINERD_PID"; } 2>/dev/null || true
}

cri() { "$CRI_CALL" "$RUN_DIR/c" "$@"; }
ctr_() { timeout 60 "$SUITE_BIN/ctr" -a "$RUN_DIR/c" -n k8s.io "$@"; }

# What checks.sh ends a script with: here the node's end does all of it.
end_e2e() {
  ((BROKEN == 0)) || [[ -z ${MOAT_KEEP:-} ]] || cp -rxT "$RUN_DIR" "$MOAT_KEEP" || true
}

# node_leftovers: a line for everything of a container that is still there.
node_leftovers() {
  local proc
  for proc in /proc/[0-9]*; do
    [[ ! -r $proc/cgroup ]] || ! grep -q "/$CTR_NAMESPACE/" "$proc/cgroup" 2>/dev/null ||
      echo "in a container's cgroup: $(tr '\0' ' ' <"$proc/cmdline")"
    [[ $(tr '\0' ' ' 2>/dev/null <"$proc/cmdline") != *containerd-shim-* ]] ||
      echo "process $(tr '\0' ' ' <"$proc/cmdline")"
  done
  awk -v state="$RUN_DIR/state/" 'index($5, state) == 1 || index($5, "/run/netns/") == 1 {print "mount", $5}' /proc/self/mountinfo
  own_cgroups | sed -n "s|.*/$CTR_NAMESPACE/.|cgroup &|p"
  find "$MOAT_STATE_DIR" "$RUN_DIR/state/io.containerd.runtime.v2.task" /run/containerd -not -type d \
    -printf '%y %p\n' 2>/dev/null || true
  find /run/containerd/runc -mindepth 2 -printf 'runtime %p\n' 2>/dev/null || true
  ip -br link | grep -E '^veth' || true
}
no_node_leftovers() { [[ -z $(node_leftovers) ]]; }
pods_leave_nothing() { wait_until 5 no_node_leftovers || nothing node_leftovers; }
