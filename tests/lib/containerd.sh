# shellcheck shell=bash disable=SC2034
# A private containerd: own root, state, socket and configuration in one temporary folder, no
# contact with any other containerd or docker of the machine, and nothing left when it stops.

# start_containerd DIR: DIR is new and short (a unix socket's path ends at 107 bytes).
start_containerd() {
  RUN_DIR=$1
  CTR_NAMESPACE=moat-${RUN_DIR##*.}
  mkdir -p "$RUN_DIR"/{etc/policies,log,run,fifo}
  NEW_FOLDERS=$(for d in /run/containerd/{s,runc} /run/containerd; do [[ -d $d ]] || echo "$d"; done)
  export MOAT_POLICY_DIR=$RUN_DIR/etc/policies MOAT_LOG_DIR=$RUN_DIR/log MOAT_STATE_DIR=$RUN_DIR/run
  # Absent files are the defaults; named here so that the machine's own /etc/moat stays out.
  export MOAT_CONFIG=$RUN_DIR/etc/moat.yaml MOAT_FLOOR=$RUN_DIR/etc/floor.yaml
  containerd_config >"$RUN_DIR/containerd.toml"
  launch_containerd
}

# launch_containerd: also again, after a stop or a death.
launch_containerd() {
  # A session of its own: Ctrl-C is for the script, which still needs the daemon to clean up.
  MOAT_RUN_MARK=$RUN_DIR PATH=$MOAT_BIN:$TOOLS_PATH:$PATH setsid "$MOAT_TOOLS/usr/bin/containerd" \
    --config "$RUN_DIR/containerd.toml" >>"$RUN_DIR/containerd.log" 2>&1 </dev/null &
  CONTAINERD_PID=$!
  wait_until 20 containerd_settled && kill -0 "$CONTAINERD_PID" 2>/dev/null && return
  tail -n 15 "$RUN_DIR/containerd.log" >&2
  die "the private containerd did not start; its last lines are above"
}

containerd_settled() {
  ! kill -0 "$CONTAINERD_PID" 2>/dev/null || ctr_ version >/dev/null 2>&1
}

containerd_config() {
  cat <<END
version = 2
root = "$RUN_DIR/root"
state = "$RUN_DIR/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "$RUN_DIR/c"
[ttrpc]
  address = "$RUN_DIR/c.ttrpc"
END
}

# ctr for the private daemon. Bounded, since it waits long for a daemon that died.
ctr_() { timeout --foreground 60 "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" "$@"; }

# run_container ID ROOTFS_DIR [ctr option...] -- COMMAND...: in the background; its output goes to
# RUN_DIR/ID.out, its first process to RUN_DIR/ID.pid. ctr stays in front of it, because only
# then are the pipes emptied by somebody.
run_container() {
  local id=$1 rootfs=$2 options=()
  shift 2
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  echo "$id" >>"$RUN_DIR/ids"
  "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" run --rm --rootfs \
    --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --fifo-dir "$RUN_DIR/fifo" --pid-file "$RUN_DIR/$id.pid" "${options[@]}" "$rootfs" "$id" "$@" \
    >"$RUN_DIR/$id.out" 2>&1 </dev/null &
  CTR_PID=$!
}

# stop_container ID CTR_PID: TERM, and KILL for what does not listen.
stop_container() {
  ctr_ task kill --signal SIGTERM "$1" >/dev/null 2>&1 || true
  wait_until 8 gone "$2" || ctr_ task kill --signal SIGKILL --all "$1" >/dev/null 2>&1 || true
  wait_until 8 gone "$2" || kill -KILL "$2" 2>/dev/null || true
  wait "$2" 2>/dev/null || true
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_containerd: from a trap; safe to call twice, and after a start that failed half way.
stop_containerd() {
  [[ -n ${RUN_DIR:-} && -d $RUN_DIR ]] || return 0
  # A second Ctrl-C must not leave half of it behind.
  trap '' INT TERM
  stop_tasks
  stop_daemon
  kill_stragglers
  remove_shim_files
  unmount_below "$RUN_DIR"
  remove_cgroups
  rm -rf --one-file-system "$RUN_DIR"
  RUN_DIR=
}

stop_tasks() {
  [[ -n ${CONTAINERD_PID:-} ]] && kill -0 "$CONTAINERD_PID" 2>/dev/null || return 0
  local id
  for id in $(ctr_ task ls -q 2>/dev/null); do
    ctr_ task delete --force "$id" >/dev/null 2>&1 || true
  done
  for id in $(ctr_ container ls -q 2>/dev/null); do
    ctr_ container delete "$id" >/dev/null 2>&1 || true
  done
}

stop_daemon() {
  [[ -n ${CONTAINERD_PID:-} ]] || return 0
  kill -TERM "$CONTAINERD_PID" 2>/dev/null || true
  wait_until 10 gone "$CONTAINERD_PID" || kill -KILL "$CONTAINERD_PID" 2>/dev/null || true
  wait "$CONTAINERD_PID" 2>/dev/null || true
  CONTAINERD_PID=
}

# The processes that outlived the daemon: what it started carries its mark in the environment or
# works in its folder, containers are found by their cgroup. Nothing is ever looked for by name.
stragglers() {
  local proc group
  for proc in /proc/[0-9]*; do
    if grep -qzxF "MOAT_RUN_MARK=$RUN_DIR" "$proc/environ" 2>/dev/null ||
      [[ $(readlink "$proc/cwd" 2>/dev/null) == "$RUN_DIR"/* ]]; then
      echo "${proc##*/}"
    fi
  done
  for group in $(own_cgroups); do cat "$group/cgroup.procs" 2>/dev/null || true; done
}

kill_stragglers() {
  local round pid pids group
  # What is frozen cannot even be killed.
  for group in $(own_cgroups); do
    [[ ! -e $group/freezer.state ]] || echo THAWED >"$group/freezer.state" || true
  done
  for round in 1 2 3 4 5; do
    mapfile -t pids < <(stragglers | sort -u)
    ((${#pids[@]} > 0)) || return 0
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    sleep 0.1
  done
  echo "${0##*/}: still there after $round kills: ${pids[*]}" >&2
}

# Shims and runc keep these outside any folder of ours. A socket is named by a hash of its user.
remove_shim_files() {
  local id hash folder
  [[ ! -r $RUN_DIR/ids ]] || while read -r id; do
    hash=$(printf '%s' "$RUN_DIR/c/$CTR_NAMESPACE/$id" | sha256sum | cut -d' ' -f1)
    rm -f "/run/containerd/s/$hash" "/run/containerd/s/$hash.lock"
  done <"$RUN_DIR/ids"
  rm -rf --one-file-system "/run/containerd/runc/$CTR_NAMESPACE"
  for folder in $NEW_FOLDERS; do rmdir "$folder" 2>/dev/null || true; done
}

# Last mounted first. The list is read whole before the first unmount changes it.
unmount_below() {
  local target targets
  mapfile -t targets < <(awk '{print $5}' /proc/self/mountinfo | tac)
  for target in "${targets[@]}"; do
    [[ $target != "$1"/* ]] || umount "$target" 2>/dev/null || umount --lazy "$target" || true
  done
}

own_cgroups() {
  local mount
  while read -r mount; do
    [[ ! -d $mount/$CTR_NAMESPACE ]] || find "$mount/$CTR_NAMESPACE" -depth -type d
  done < <(cgroup_mounts)
}

remove_cgroups() {
  local group
  for group in $(own_cgroups); do
    wait_until 2 rmdir "$group" 2>/dev/null || echo "${0##*/}: cannot remove cgroup $group" >&2
  done
}
