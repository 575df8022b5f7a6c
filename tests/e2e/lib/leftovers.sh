# shellcheck shell=bash
# Everything a container can leave behind on the node.

# leftovers: a line for each process, mount, socket, cgroup and file; its event files may stay. The
# sockets' folder is the run's own: MOAT_SOCKET_DIR.
leftovers() {
  local pid
  for pid in $(pgrep -f containerd-shim-moat-v2); do
    ! grep -qzxF "MOAT_POLICY_DIR=$MOAT_POLICY_DIR" "/proc/$pid/environ" 2>/dev/null ||
      echo "process $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
  done
  awk -v state="$RUN_DIR/state/" -v bundles="$RUN_DIR/b/" \
    'index($5, state) == 1 || index($5, bundles) == 1 {print "mount", $5}' /proc/self/mountinfo
  find "$MOAT_SOCKET_DIR" -mindepth 1 -printf 'socket %p\n' 2>/dev/null || true
  own_cgroups | sed -n "s|.*/$CTR_NAMESPACE/.|cgroup &|p"
  find "$MOAT_STATE_DIR" "$RUN_DIR/state/io.containerd.runtime.v2.task" "$RUN_DIR/fifo" \
    "/run/containerd/runc/$CTR_NAMESPACE" -not -type d -printf 'file %p\n' 2>/dev/null || true
}

no_leftovers() { [[ -z $(leftovers) ]]; }

# A shim ends shortly after its last container.
leaves_nothing() { wait_until 5 no_leftovers || nothing leftovers; }
