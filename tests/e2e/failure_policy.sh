#!/usr/bin/env bash
# A node on which a mechanism is missing, one after the other: in `enforce` a container whose promises
# need it does not start, and is told what is missing, what for, and the way out; it starts in `audit`,
# and where node and pod say so, and a health event says which promise is lost.
# shellcheck disable=SC2034,SC2016  # what one part sets another reads; jq has variables, too
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# node_without CALL...: the daemon and all it starts are refused these calls.
node_without() {
  stop_tasks
  stop_daemon
  MOAT_RUN_MARK=$RUN_DIR PATH=$MOAT_BIN:$TOOLS_PATH:$PATH setsid "$MOAT_BIN/tools/without" "$1" -- \
    "$MOAT_TOOLS/usr/bin/containerd" --config "$RUN_DIR/containerd.toml" >>"$RUN_DIR/containerd.log" 2>&1 </dev/null &
  CONTAINERD_PID=$!
  wait_until 20 containerd_settled
}

messages() { events "$1" 'select(.kind == "health") | .message'; }

# start ID MODE POLICY [ctr option...]
start() {
  local id=$1 from=builtin
  [[ $3 == python ]] || from=node
  start_server "$id" "$MOAT" none --annotation "moat.dev/mode=$2" --annotation "moat.dev/profile=$from/$3" \
    --annotation moat.dev/model-paths=/models "${@:4}" < <(orders honest load)
}
says_no() { wait_until 10 gone "$CTR_PID" && contains "$RUN_DIR/$1.out" "$2"; }

# closed_and_open NAME POLICY MECHANISM PROMISE
closed_and_open() {
  local name=$1 policy=$2 mechanism=$3 promise=$4
  rm -f "$MOAT_CONFIG"
  start "$name-closed" enforce "$policy"
  check "$name: nothing starts in enforce, and the mechanism is named" says_no "$name-closed" "$mechanism cannot be had here: "
  check "$name: ... the promise" contains "$RUN_DIR/$name-closed.out" "the promise that is lost: $promise"
  check "$name: ... and the way out" contains "$RUN_DIR/$name-closed.out" 'moat.dev/mode: audit, or moat.dev/failure-policy: open'
  start "$name-refused" enforce "$policy" --annotation moat.dev/failure-policy=open
  check "$name: a pod alone cannot say that it may" says_no "$name-refused" 'annotation moat.dev/failure-policy: loosens'
  echo 'failurePolicy: pod' >"$MOAT_CONFIG"
  start "$name-open" enforce "$policy" --annotation moat.dev/failure-policy=open
  check "$name: it starts where node and pod say so" wait_for "$name-open" '^init done$'
  check "$name: the lost promise is an event" contains <(messages "$name-open") "$mechanism cannot be had here: .*; the promise that is lost: $promise"
  stop_container "$name-open" "$CTR_PID"
  start "$name-audit" audit "$policy"
  check "$name: it starts in audit" wait_for "$name-audit" '^listening$'
  stop_container "$name-audit" "$CTR_PID"
}

probed() { messages "$1" | grep -qE "^missing on this node: .*$2"; }

begin_e2e "$@"
make_image
cat >"$MOAT_POLICY_DIR/named.yaml" <<YAML
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: named}
spec:
  extends: [builtin/python]
  phases:
    load:
      network: {access: ["+", "127.0.0.1:$CANARY_PORT", "unix:*"]}
YAML

node_without fanotify_init
closed_and_open opens python 'fanotify permission events' 'reads and programs are decided on the file itself'
node_without bpf
closed_and_open addresses named 'cgroup BPF' 'addresses are told apart'
rm -f "$MOAT_CONFIG"
start plain enforce python
check "plain: nor does one whose policy names no address" says_no plain 'cgroup BPF cannot be had here: '
start watched audit python
check "watched: in audit it runs" wait_for watched '^listening$'
check "watched: the probes tell of the node, once it runs" wait_until 10 probed watched 'cgroup BPF'
stop_container watched "$CTR_PID"
node_without fsmount
closed_and_open mounts python 'read-only mounts' 'writes outside the declared places fail'
conclude
