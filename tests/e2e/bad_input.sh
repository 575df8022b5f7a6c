#!/usr/bin/env bash
# What people and clients get wrong: each is answered with one message that names the place and the
# way out, and leaves nothing running or mounted.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,bundles}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# refused SENTENCE REGEX [ctr option...]: a container that cannot be made.
refused() {
  local sentence=$1 regex=$2 id=bad$((++BAD)) status=0
  shift 2
  echo "$id" >>"$RUN_DIR/ids"
  ctr_ run --rm --rootfs --runtime "$MOAT" --fifo-dir "$RUN_DIR/fifo" "$@" "$WORLD/rootfs" "$id" \
    /bin/sh -c 'echo it runs' >"$RUN_DIR/$id.out" 2>&1 </dev/null || status=$?
  check "$sentence: refused" test "$status" != 0
  check "$sentence: the message" contains "$RUN_DIR/$id.out" "$regex"
  check "$sentence: its code" contains "$RUN_DIR/$id.out" ": ($CODES)\$"
  check "$sentence: it is the only line" equals 1 "$(wc -l <"$RUN_DIR/$id.out")"
  check "$sentence: nothing is left" leaves_nothing
}
BAD=0
# Whoever asked can change something about it; what a runtime says has no code of its own.
CODES='invalid argument|failed precondition'

annotations() {
  refused "an unknown annotation" "annotation moat\.dev/mod: no such key.*'mode'" \
    --annotation moat.dev/mod=enforce
  refused "an unknown mode" "annotation moat\.dev/mode: .*'enforced'.*'enforce'" \
    --annotation moat.dev/mode=enforced
  refused "a relative model path" "annotation moat\.dev/model-paths: 'models' " \
    --annotation moat.dev/mode=enforce --annotation moat.dev/model-paths=models
  refused "a profile that is not there" "$MOAT_POLICY_DIR/nothing" \
    --annotation moat.dev/profile=node/nothing
}

policies() {
  cat >"$MOAT_POLICY_DIR/broken.yaml" <<'END'
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: broken}
spec:
  phases:
    laod:
      process: {exec: []}
END
  refused "a misspelt policy on the node" "$MOAT_POLICY_DIR/broken\.yaml:6:[0-9]+: .*'laod'.*'load'" \
    --annotation moat.dev/profile=node/broken
  mkdir -p "$RUN_DIR/w/policy"
  printf 'apiVersion: moat.dev/v1alpha1\nkind: [LifecyclePolicy\n' >"$RUN_DIR/w/policy/policy.yaml"
  local mounted=(--mount "type=bind,src=$RUN_DIR/w/policy,dst=/etc/policy,options=rbind:ro"
    --annotation moat.dev/policy=/etc/policy/policy.yaml)
  refused "a mounted policy that is no YAML" "/etc/policy/policy\.yaml:[23]:[0-9]+: " "${mounted[@]}"
  cp "$MOAT_SOURCE/policies/builtin/python.yaml" "$RUN_DIR/w/policy/policy.yaml"
  refused "a mounted policy with another digest" "policy-sha256.*$(sha256sum <"$RUN_DIR/w/policy/policy.yaml" | cut -c1-64)" \
    "${mounted[@]}" --annotation "moat.dev/policy-sha256=$(printf '0%.0s' {1..64})"
  refused "a mounted policy that is not there" "/etc/policy/other\.yaml" \
    "${mounted[@]:0:2}" --annotation moat.dev/policy=/etc/policy/other.yaml
}

node() {
  echo 'mod: enforce' >"$MOAT_CONFIG"
  refused "a misspelt node configuration" "$MOAT_CONFIG:1: .*'mod'.*'mode'"
  rm "$MOAT_CONFIG"
  echo 'BinaryName = "/nowhere/runc"' >"$RUN_DIR/runtime.toml"
  CODES=unknown refused "a runtime that is not there" "/nowhere/runc.*BinaryName" \
    --runtime-config-path "$RUN_DIR/runtime.toml"
  echo 'mode: [enforce' >"$MOAT_FLOOR"
  refused "a broken floor" "$MOAT_FLOOR:[12]:[0-9]+: "
  rm "$MOAT_FLOOR"
  mv "$MOAT_LOG_DIR" "$MOAT_LOG_DIR.away"
  : >"$MOAT_LOG_DIR"
  refused "an events folder that is a file" "logDir.*$MOAT_LOG_DIR" \
    --annotation moat.dev/mode=audit
  rm "$MOAT_LOG_DIR"
  mv "$MOAT_LOG_DIR.away" "$MOAT_LOG_DIR"
}

# answers SENTENCE REGEX ID: what Create says in a bundle that `spoil` has had; the shim lives on.
answers() {
  local sentence=$1 regex=$2 id=$3 socket
  socket=$(start_shim "$id")
  "spoil_$id" "$RUN_DIR/b/$id"
  shim_call "$socket" create "$id" "$RUN_DIR/b/$id" >"$RUN_DIR/$id.out" || true
  check "$sentence: the message" contains "$RUN_DIR/$id.out" "$regex"
  check "$sentence: it is the only line" equals 1 "$(wc -l <"$RUN_DIR/$id.out")"
  check "$sentence: the shim lives on" equals ok "$(shim_call "$socket" connect "$id")"
  shim_call "$socket" shutdown "$id" >/dev/null || true
  check "$sentence: nothing is left" leaves_nothing
}

spoil_garbled() { printf '{"ociVersion": "1.0.2", "process": nonsense' >"$1/config.json"; }
spoil_empty() { : >"$1/config.json"; }
spoil_missing() { rm "$1/config.json"; }
spoil_rootless() { rmdir "$1/rootfs"; }
spoil_unsafe() { jq '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/other.sock"}' "$1/config.json" >"$1/new" && mv "$1/new" "$1/config.json"; }
spoil_pathless() { :; }
spoil_deep() { :; }

bundles() {
  answers "a config.json that is no JSON" '^InvalidArgument: .*garbled.*config\.json: ' garbled
  answers "an empty config.json" '^InvalidArgument: .*empty.*config\.json: ' empty
  answers "a bundle without config.json" 'config\.json not found' missing
  answers "a bundle without rootfs" '^InvalidArgument: .*/rootless has no root file system: .*rootfs' rootless
  answers "a foreign seccomp listener" 'listenerPath is already set to /run/other\.sock.*moat\.dev/mode: off' unsafe
  PATH_OF_SHIM=/nowhere answers "no runc on the path" 'runc.*(not found|[Nn]o such file).*PATH|PATH.*runc' pathless
  MOAT_STATE_DIR=$RUN_DIR/run/$(printf 'deep%.0s' {1..30}) answers "a state folder too deep for sockets" \
    'deep.*107.*stateDir|stateDir.*deep.*107' deep
}

# Clients of the socket that talk nonsense, while a container runs.
clients() {
  local socket shim before
  start_server talk "$MOAT" enforce < <(orders honest load)
  check "a container runs" wait_for talk '^listening$'
  [[ $HELD ]] || return 0
  socket=$(sed 's|^unix://||' "$RUN_DIR/state/io.containerd.runtime.v2.task/$CTR_NAMESPACE/talk/address")
  shim=$(shim_of talk)
  before=$(find "/proc/$shim/fd" -mindepth 1 | wc -l)
  sends garbage head -c 4096 /dev/urandom
  sends "half a header" printf '\0\0\0'
  sends "a header without its payload" printf '\0\0\1\0\0\0\0\1\1\0'
  sends "a payload cut short" printf '\0\0\1\0\0\0\0\1\1\0half'
  sends "a request that is none" printf '\0\0\0\4\0\0\0\1\1\0\377\377\377\377'
  sends "an even stream" printf '\0\0\0\0\0\0\0\2\1\0'
  sends "an unknown type" printf '\0\0\0\0\0\0\0\1\11\0'
  sends "data for no stream" printf '\0\0\0\0\0\0\0\11\3\0'
  sends "more than 4 MiB" too_much
  sends "a header that claims 4 GiB" printf '\377\377\377\377\0\0\0\1\1\0'
  sends nothing true
  silent_ones "$socket"
  check "the shim's descriptors are as many as before" wait_until 5 has_fds "$shim" "$before"
  check "its memory is bounded" test "$(awk '/^VmRSS/ {print $2}' "/proc/$shim/status")" -lt 40000
  check "the container answers" predict 5
  stop_container talk "$CTR_PID"
  check "nothing is left of it" leaves_nothing
}

too_much() { printf '\0\120\0\0\0\0\0\1\1\0'; head -c 5242880 /dev/zero; }
has_fds() { (($(find "/proc/$1/fd" -mindepth 1 | wc -l) <= $2)); }

# sends WHAT CMD...: to the shim, which must go on answering.
sends() {
  local what=$1
  shift
  "$@" | timeout 5 socat -t 0.2 - "UNIX-CONNECT:$socket" >/dev/null 2>&1 || true
  check "after $what the shim answers, the same one" still_answers
}
still_answers() { equals ok "$(shim_call "$socket" state talk)" && equals "$shim" "$(shim_of talk)"; }

silent_ones() {
  local i pids=()
  for i in {1..20}; do
    socat -u "UNIX-CONNECT:$1" OPEN:/dev/null >/dev/null 2>&1 &
    pids+=($!)
  done
  sleep 0.3
  check "beside twenty silent clients the shim answers" still_answers
  kill "${pids[@]}" 2>/dev/null || true
  wait "${pids[@]}" 2>/dev/null || true
}

begin_e2e "$@"
make_image
make_world bad
annotations
policies
node
bundles
clients
conclude
