# shellcheck shell=bash
# What the benchmarks' containers are made of. NAME_needs fetches, NAME_world makes spec.json of what
# `runc spec` says, in RUN_DIR.

shim_needs() { :; }
shim_world() {
  small_rootfs "$RUN_DIR/rootfs"
  jq --arg root "$RUN_DIR/rootfs" '.process.terminal = false | .root.path = $root' \
    "$RUN_DIR/config.json" >"$RUN_DIR/spec.json"
}

syscall_needs() { :; }
syscall_world() {
  mkdir "$RUN_DIR/rootfs" "$RUN_DIR/w/models"
  mount -t tmpfs -o mode=755 moat-bench "$RUN_DIR/rootfs"
  small_rootfs "$RUN_DIR/rootfs"
  mkdir -p "$RUN_DIR/rootfs"/{models,usr/lib,var/tmp,root}
  install -m 755 "$MOAT_BIN/tools/bench_worker" "$RUN_DIR/rootfs/bin/bench_worker"
  head -c 4096 /dev/zero >"$RUN_DIR/rootfs/usr/lib/small.so"
  echo model >"$RUN_DIR/w/models/model.bin"
  naming_policy
  supervised_spec "$RUN_DIR/rootfs" node/bench
  floor_cgroups >"$RUN_DIR/cgroups"
}

# Groups as deep as a container's, in the hierarchies whose depth is felt at each sleep and wake-up.
floor_cgroups() {
  local mount
  while read -r mount; do
    if [[ -e $mount/cpu.shares || -e $mount/cpuacct.usage || -e $mount/cgroup.controllers ]]; then
      mkdir -p "$mount/$CTR_NAMESPACE/floor"
      echo "$mount/$CTR_NAMESPACE/floor"
    fi
  done < <(cgroup_mounts)
}

# A policy that names an address, in every phase: then the kernel's programs alone decide where a
# connection may go, if Unix sockets need not be told apart as well.
naming_policy() {
  local phase
  {
    cat <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: bench}
spec:
  extends: [builtin/python]
  phases:
END
    for phase in load warmup serve reload train shutdown; do
      echo "    $phase: {network: {access: [\"+\", \"127.0.0.1:8080\", \"unix:*\"]}}"
    done
  } >"$MOAT_POLICY_DIR/bench.yaml"
}

# supervised_spec ROOTFS PROFILE: the stock shim passes over the annotations.
supervised_spec() {
  jq --arg root "$1" --arg profile "$2" --arg models "$RUN_DIR/w/models" '
    .process.terminal = false | .root = {path: $root, readonly: false}
    | .mounts += [{destination: "/models", source: $models, type: "bind", options: ["rbind", "ro"]}]
    | .annotations += {"moat.dev/profile": $profile, "moat.dev/model-paths": "/models"}' \
    "$RUN_DIR/config.json" >"$RUN_DIR/spec.json"
}

serve_needs() {
  install_packages run
  with_cache_lock build_rootfs serving-torch bookworm "${TORCH_PACKAGES[@]}"
}

serve_world() {
  mkdir "$RUN_DIR/w/models"
  mount_rootfs serving-torch "$RUN_DIR/w/torch"
  local rootfs=$RUN_DIR/w/torch/rootfs
  mkdir -p "$rootfs"/{app,models}
  install -m 644 "$MOAT_SOURCE"/tests/demo/{serve,train,payload}.py "$MOAT_SOURCE/tests/bench/cost/server.py" "$rootfs/app"
  : >"$RUN_DIR/net"
  unshare --net="$RUN_DIR/net" ip link set lo up
  say "training the model"
  mount --bind "$RUN_DIR/w/models" "$rootfs/models"
  quietly "$RUN_DIR/train.log" chroot "$rootfs" python3 /app/train.py /models --torch
  umount "$rootfs/models"
  supervised_spec "$rootfs" builtin/python
  jq --arg net "$RUN_DIR/net" '(.linux.namespaces[] | select(.type == "network")).path = $net' \
    "$RUN_DIR/spec.json" >"$RUN_DIR/spec.new"
  mv "$RUN_DIR/spec.new" "$RUN_DIR/spec.json"
}
