#!/usr/bin/env bash
# A policy that names a Unix socket: it answers, in the phase it is named for, its neighbour does not,
# however often the name is changed on the way; and a name that the workload could lead elsewhere is
# no name.
# shellcheck disable=SC2016
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

NODE=/run/node

# policy NAME SOCKET: what may be reached while it loads.
policy() {
  cat >"$MOAT_POLICY_DIR/$1.yaml" <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: $1}
spec:
  extends: [builtin/python]
  phases:
    load:
      network: {access: ["+", "unix:$2"]}
END
}

# A folder of the node with two sockets, in the container at NODE.
start_node() {
  FOLDER=$RUN_DIR/w/node
  mkdir -p "$FOLDER"
  HEARD=$RUN_DIR/w/heard
  local name
  for name in log other; do
    : >"$HEARD.$name"
    socat -u "UNIX-LISTEN:$FOLDER/$name.sock,fork" "OPEN:$HEARD.$name,append" >/dev/null 2>&1 </dev/null &
    NODES+=($!)
  done
  wait_until 5 test -S "$FOLDER/other.sock" || die "the node's sockets do not listen"
}
NODES=()

# serve_with ID POLICY MODE [ctr option...]
serve_with() {
  start_server "$1" "$MOAT" none --annotation "moat.dev/mode=$3" \
    --annotation "moat.dev/profile=node/$2" --annotation moat.dev/model-paths=/models \
    --mount "type=bind,src=$FOLDER,dst=$NODE,options=rbind:rw" "${@:4}"
}
loads() {
  serve_with "$@" || return 1
  wait_for "$1" '^listening$' || return 1
  wait_for_phase "$1" serve || return 1
  predict >"$RUN_DIR/answer"
}
attempts() { sed -nE 's/^attempt (unix_[a-z]+) phase=([a-z]+) place=main (.*)/\1 \2 \3/p' "$RUN_DIR/$1.out"; }
both() { for one in unix_log unix_other; do printf '%s main %s\n' load "$one" request:1 "$one"; done; }
health() { events "$1" 'select(.kind == "health") | .message'; }

named() {
  check "named: the server loads, listens and answers" loads named log enforce \
    --mount "type=bind,src=$FOLDER/log.sock,dst=/run/one.sock,options=rbind:rw" < <(both; echo load main unix_race)
  [[ $HELD ]] || { stop_container named "$CTR_PID"; return; }
  if [[ $(health named) == *"let a program read"* || $(health named) == *"cannot hold Unix"* ]]; then
    stop_container named "$CTR_PID"
    say "skip: this kernel cannot tell Unix sockets apart"
    exit 77
  fi
  check "named: the one that the policy names answers while it loads, nothing else does" equals \
    "unix_log load result=ok unix_other load errno=EPERM unix_race load result=ok" \
    "$(attempts named | grep ' load ' | paste -sd' ')"
  check "named: none does once it serves" nothing grep -E '^attempt unix_.* phase=serve .*result=ok' "$RUN_DIR/named.out"
  check "named: which hears what was sent" contains "$HEARD.log" '^unix_log.load$'
  check "named: the other has heard nothing, from the race neither" nothing cat "$HEARD.other"
  check "named: the refusal names the path, as the kernel has it" contains \
    <(events named 'select(.kind == "violation" and .process.comm == "unix_other") |
      "\(.phase.name) \(.object.address) \(.object.claimed)"') "^load unix:$NODE/other.sock false\$"
  check "named: a socket of the node among the mounts is told of" contains <(health named) \
    'mount at /run/one.sock brings a socket of the node'
  stop_container named "$CTR_PID"
}

watched() {
  check "audit: the server loads, listens and answers" loads watched log audit < <(both)
  check "audit: everything is reached" nothing grep -vE 'result=ok$' <(attempts watched)
  check "audit: what would be refused is told by its path" contains \
    <(events watched 'select(.kind == "would_deny" and .phase.name == "load") | .object.address') \
    "^unix:$NODE/other.sock\$"
  check "audit: what the policy names is not" nothing grep -F log.sock \
    <(events watched 'select(.kind == "would_deny" and .phase.name == "load") | .object.address')
  stop_container watched "$CTR_PID"
}

# In the image the name is a symlink into /tmp, where the workload could put one to any socket.
led() {
  ln -s /tmp/log.sock "$IMAGE/etc/link.sock"
  serve_with led link enforce < <(both)
  wait_for led '^attempt open_model' || true
  check "led: the artifact is not opened" contains "$RUN_DIR/led.out" '^attempt open_model .*errno='
  check "led: and it is said why" contains <(health led) 'unix:/etc/link.sock cannot be held to its name: /tmp stays writable'
  stop_container led "$CTR_PID"
}

end_nodes() { ((${#NODES[@]} == 0)) || kill "${NODES[@]}" 2>/dev/null || true; }

begin_e2e "$@"
trap 'end_nodes; end_e2e' EXIT
make_image
policy log "$NODE/log.sock"
policy link /etc/link.sock
start_node
named
watched
led
conclude
