# shellcheck shell=bash disable=SC2034
# containerd's side of a shim, played by hand: bundles, the `start` action, the calls, the events.

RUNC=$MOAT_TOOLS/usr/sbin/runc
SHIM=$MOAT_BIN/containerd-shim-moat-v2

# begin_by_hand: RUN_DIR with a root file system and somebody who takes the events, and no containerd.
begin_by_hand() {
  need_root "$@"
  fetch_tools
  local program
  for program in containerd-shim-moat-v2 tools/shim_script tools/events_sink; do
    [[ -x $MOAT_BIN/$program ]] || die "$MOAT_BIN/$program is not built; run tests/run.sh --build-only" 2
  done
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  CTR_NAMESPACE=moat-${RUN_DIR##*.}
  mkdir -p "$RUN_DIR"/{etc/policies,log,run,fifo,b,state}
  NEW_FOLDERS=$(for d in /run/containerd/{s,runc} /run/containerd; do [[ -d $d ]] || echo "$d"; done)
  export MOAT_POLICY_DIR=$RUN_DIR/etc/policies MOAT_LOG_DIR=$RUN_DIR/log MOAT_STATE_DIR=$RUN_DIR/run
  export MOAT_CONFIG=$RUN_DIR/etc/moat.yaml MOAT_FLOOR=$RUN_DIR/etc/floor.yaml
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  start_sink
}

end_world() {
  stop_log_readers
  stop_sink
}

# The daemon's end of the events; what arrives is in RUN_DIR/events.
start_sink() {
  "$MOAT_BIN/tools/events_sink" "$RUN_DIR/c.ttrpc" >>"$RUN_DIR/events" 2>&1 </dev/null &
  SINK_PID=$!
  wait_until 5 test -S "$RUN_DIR/c.ttrpc" || die "the events' sink does not listen"
}

stop_sink() {
  [[ -n ${SINK_PID:-} ]] || return 0
  kill "$SINK_PID" 2>/dev/null || true
  wait "$SINK_PID" 2>/dev/null || true
  SINK_PID=
  rm -f "$RUN_DIR/c.ttrpc"
}

# new_bundle ID [JQ-FILTER]: RUN_DIR/b/ID, ready to be created; supervised as MODE says (not at all without).
new_bundle() {
  local dir=$RUN_DIR/b/$1
  mkdir -p "$dir"
  rm -f "$dir/config.json"
  "$RUNC" spec --bundle "$dir"
  jq --arg group "/$CTR_NAMESPACE/$1" --arg root "$RUN_DIR/rootfs" '.process.terminal = false
    | .process.args = ["/bin/sleep", "1000"] | .linux.cgroupsPath = $group | .root.path = $root
    | .annotations["moat.dev/mode"] = "'"${MODE:-off}"'" | '"${2:-.}" "$dir/config.json" >"$dir/new"
  mv "$dir/new" "$dir/config.json"
  echo "$1" >>"$RUN_DIR/ids"
}

# as_daemon SHIM BUNDLE WORD...: the program in the bundle with the environment of containerd 1.7.
as_daemon() {
  local shim=$1 bundle=$2
  shift 2
  (
    cd "$bundle" || exit
    MOAT_RUN_MARK=$RUN_DIR PATH=${PATH_OF_SHIM:-$TOOLS_PATH:$PATH} GOMAXPROCS=2 TTRPC_ADDRESS=$RUN_DIR/c.ttrpc GRPC_ADDRESS=$RUN_DIR/c \
      NAMESPACE=$CTR_NAMESPACE MAX_SHIM_VERSION=2 "$shim" -namespace "$CTR_NAMESPACE" -address "$RUN_DIR/c" \
      -publish-binary /bin/true "$@"
  )
}

# start_by_hand ID [SHIM]: the shim of a bundle that is there; SOCKET is its socket, SHIM_LOG what it
# has logged so far. The log's reader ends with the shim.
start_by_hand() {
  local bundle=$RUN_DIR/b/$1 reply
  [[ -p $bundle/log ]] || mkfifo "$bundle/log"
  SHIM_LOG=$RUN_DIR/$1.shim.log
  cat <>"$bundle/log" >>"$SHIM_LOG" 2>/dev/null &
  LOG_READERS+=($!)
  reply=$(as_daemon "${2:-$SHIM}" "$bundle" -id "$1" start </dev/null) || { echo "start: $reply"; return 1; }
  SOCKET=$(grep -oE 'unix://[^"]+' <<<"$reply")
  SOCKET=${SOCKET#unix://}
  [[ -S $SOCKET ]]
}
LOG_READERS=()

# The readers hold the FIFOs open themselves, so as not to see an end between two writers.
stop_log_readers() {
  ((${#LOG_READERS[@]} > 0)) || return 0
  kill "${LOG_READERS[@]}" 2>/dev/null || true
  wait "${LOG_READERS[@]}" 2>/dev/null || true
  LOG_READERS=()
}

# play [VERSION]: a script for the shim at SOCKET.
play() { "$MOAT_BIN/tools/shim_script" "$SOCKET" "${1:-2}"; }

# delete_by_hand ID: what containerd runs after every removal.
delete_by_hand() { as_daemon "${2:-$SHIM}" "$RUN_DIR/b/$1" -id "$1" -bundle "$RUN_DIR/b/$1" delete </dev/null; }

shim_at() { pids_with -namespace "$CTR_NAMESPACE" -id "$1"; }

# dead PID: it runs no more; who should bury it may take his time.
dead() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

# A runtime whose faults are files in its folder.
faulty_runtime() {
  FAULTS=$RUN_DIR/faulty
  mkdir -p "$FAULTS"
  cp "$MOAT_SOURCE/tests/support/faulty_runc.sh" "$FAULTS/runc"
  chmod 755 "$FAULTS/runc"
  echo "$RUNC" >"$FAULTS/real"
}
calls() { grep -c "^$1\$" "$FAULTS/calls" || true; }
