#!/usr/bin/env bash
# Another OCI runtime underneath, chosen by option: crun hands its listener over later than runc, and
# its init differs; what a container may do must not. On a hierarchy of cgroup2 alone and without
# limits, since crun refuses mixed hierarchies and not every machine gives cgroup2 its controllers.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,everything,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# Seen by this script and what it starts only.
if [[ -z ${MOAT_CGROUP2_ONLY:-} ]]; then
  need_root "$@"
  exec unshare --mount --propagation private env MOAT_CGROUP2_ONLY=yes bash "${BASH_SOURCE[0]}" "$@"
fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup

# use_crun: a file with the option, as a node's containerd would have it in its configuration.
use_crun() {
  local crun=$MOAT_CACHE/tools/crun
  with_cache_lock fetch_debs bookworm crun crun libyajl2
  # Not installed, so its one unusual library is found by hand.
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$(dirname "$crun"/usr/lib/*/libyajl.so.2)" "$crun/usr/bin/crun" \
    >"$RUN_DIR/crun"
  chmod 755 "$RUN_DIR/crun"
  echo "BinaryName = \"$RUN_DIR/crun\"" >"$RUN_DIR/crun.toml"
}

# As lib/containerd.sh has it, but with a configuration of our own: ctr has no option for one without
# limits.
run_container() {
  local id=$1 rootfs=$2
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ oci spec | jq --arg root "$rootfs" --arg group "/$CTR_NAMESPACE/$id" --arg net "$WORLD/net" \
    --arg models "$WORLD/models" --arg mode "$MODE" '
      del(.linux.resources) | .linux.cgroupsPath = $group | .root = {path: $root} | .process.cwd = "/"
      | .process.args = ["/bin/model_server", "serve"]
      | .process.capabilities[] += ["CAP_SYS_ADMIN"]
      | (.linux.namespaces[] | select(.type == "network")).path = $net
      | .mounts += [{destination: "/models", type: "bind", source: $models, options: ["rbind", "ro"]}]
      | .annotations = {"moat.dev/mode": $mode, "moat.dev/model-paths": "/models"}' >"$RUN_DIR/$id.json"
  "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" run --rm --runtime "$MOAT" \
    --runtime-config-path "$RUN_DIR/crun.toml" --config "$RUN_DIR/$id.json" \
    --fifo-dir "$RUN_DIR/fifo" --pid-file "$RUN_DIR/$id.pid" "$id" >"$RUN_DIR/$id.out" 2>&1 </dev/null &
  CTR_PID=$!
}

# A terminal, of the runtime that the node's configuration names.
terminal() {
  echo "runtime: $RUN_DIR/crun" >"$MOAT_CONFIG"
  echo tty >>"$RUN_DIR/ids"
  ctr_ oci spec | jq --arg root "$IMAGE" --arg group "/$CTR_NAMESPACE/tty" '
    del(.linux.resources) | .linux.cgroupsPath = $group | .root = {path: $root} | .process.cwd = "/"
    | .process.args = ["/bin/sh", "-c", "test -t 0 && test -t 1 && echo a terminal"]
    | .process.terminal = true | .annotations = {"moat.dev/mode": "off"}' >"$RUN_DIR/tty.json"
  printf '%q ' "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" run -t --rm --runtime "$MOAT" \
    --config "$RUN_DIR/tty.json" --fifo-dir "$RUN_DIR/fifo" tty >"$RUN_DIR/typed"
  timeout 30 script -qec ". $RUN_DIR/typed" /dev/null </dev/null
}

# abandoned: nobody of moat is left, and crun is told to delete the container.
abandoned() {
  check "abandoned: the server serves" flooding abandoned "$MOAT" enforce
  check "abandoned: a supervisor that is killed has a successor" kill_supervisor abandoned
  check "abandoned: the server answers" predict 5
  killed abandoned shim supervisor keeper
  check "abandoned: crun deletes the container" "$RUN_DIR/crun" --root "/run/containerd/runc/$CTR_NAMESPACE" \
    delete --force abandoned
  check "abandoned: its hook leaves nothing in the state folder" nothing state_files
  kill -CONT "$CONTAINERD_PID"
  stop_container abandoned "$CTR_PID"
}

begin_e2e "$@"
make_image
use_crun
MODE=enforce
check "the server loads, listens and answers" run_all crun "$MOAT" enforce
[[ $HELD ]] || { finish crun; conclude; }
check "a session works" session crun
finish crun
check "not one effect" nothing cat "$RUN_DIR/crun.effects"
check "the secret is nowhere to be found" nothing cat "$RUN_DIR/crun.escaped"
check "not one attempt succeeded" nothing succeeded crun
check "every attempt was made" equals "$(($(lines_of "$ATTEMPTS") * 6))" "$(lines_of "$RUN_DIR/crun.attempts")"
check "every honest action works" nothing not_ok crun
check "nothing honest is reported" nothing groundless crun
check "a terminal, with the runtime the node names" contains <(terminal) 'a terminal'
check "the phases" equals "load serve shutdown" "$(phases_of crun)"
abandoned
conclude
