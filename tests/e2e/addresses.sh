#!/usr/bin/env bash
# A policy that names addresses and all Unix sockets in every phase: the kernel's programs alone
# decide, nobody is asked where a call connects to, and no container runs without them.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

PLACES=(main thread)
REACHING=(tcp tcp_mapped udp udp_connect fastopen)

# policy NAME ADDRESS
policy() {
  local phase
  {
    echo 'apiVersion: moat.dev/v1alpha1'
    echo 'kind: LifecyclePolicy'
    echo "metadata: {name: $1}"
    echo 'spec:'
    echo '  extends: [builtin/python]'
    echo '  phases:'
    for phase in load warmup serve reload train shutdown; do
      echo "    $phase: {network: {access: [\"+\", \"$2\", \"unix:*\"]}}"
    done
  } >"$MOAT_POLICY_DIR/$1.yaml"
}

# options POLICY [ctr option...]
options() { echo --annotation moat.dev/mode=enforce --annotation "moat.dev/profile=node/$1" --annotation moat.dev/model-paths=/models; }

# serve_with ID POLICY: the artifact comes from standard input.
serve_with() {
  # shellcheck disable=SC2046
  start_server "$1" "$MOAT" none $(options "$2") && wait_for "$1" '^listening$' && wait_for_phase "$1" serve &&
    predict >"$RUN_DIR/answer"
}

reaching() { for one in "${REACHING[@]}"; do orders "$one" load request:1; done; }
results_of() { sed -nE "s/^attempt ([a-z_]+) phase=([a-z]+) place=[a-z]+ (.*)/\1 \2 \3/p" "$RUN_DIR/$1.out" | sort -u; }
all_ok() { for one in "${REACHING[@]}"; do printf '%s\n' "$one load result=ok" "$one serve result=ok"; done | sort; }

named() {
  check "named: the server loads, listens and answers" serve_with named right < <(reaching)
  [[ $HELD ]] || { stop_container named "$CTR_PID"; return; }
  check "named: the address is reached in every phase" same <(all_ok) <(results_of named)
  check "named: nothing is reported" nothing events named 'select(.kind == "violation" or .kind == "health")'
  stop_container named "$CTR_PID"
}

# EPERM is the programs' word; the supervisor, were it asked, would say ECONNREFUSED.
other() {
  check "other: the server loads, listens and answers" serve_with other wrong < <(reaching; echo load main udp_race)
  [[ $HELD ]] || { stop_container other "$CTR_PID"; return; }
  check "other: not a byte reaches the canary, a raced address neither" nothing cat "$WORLD/canary"
  check "other: each attempt was made" equals $((2 * ${#REACHING[@]} + 1)) "$(results_of other | wc -l)"
  check "other: the kernel refuses" nothing grep -vE ' errno=EPERM$|^udp_race ' <(results_of other)
  check "other: each is reported with the kernel's own copy of the address" equals "load serve" "$(events other \
    'select(.kind == "violation" and .object.address == $to and .object.claimed == false) | .phase.name' \
    --arg to "127.0.0.1:$CANARY_PORT" | sort -u | paste -sd' ')"
  stop_container other "$CTR_PID"
}

# Two containers in one cgroup: nothing can hold the second one alone.
crowded() {
  check "crowded: a server in a cgroup" serve_with crowded right < <(echo)
  local group
  group=$(sed -n 's/^0:://p' "/proc/$(<"$RUN_DIR/crowded.pid")/cgroup")
  # shellcheck disable=SC2046
  run_container second "$WORLD/rootfs" --runtime "$MOAT" --cgroup "$group" $(options right) \
    --mount "type=bind,src=$WORLD/models,dst=/models,options=rbind:ro" -- /bin/model_server fds
  wait_until 20 gone "$CTR_PID" || true
  check "crowded: another one in the same cgroup does not run" nothing grep '^fd ' "$RUN_DIR/second.out"
  check "crowded: and its client is told why" contains "$RUN_DIR/second.out" \
    'the addresses that the policy names cannot be held to'
  stop_container crowded "$CTR_PID"
}

begin_e2e "$@"
make_image
policy right "127.0.0.1:$CANARY_PORT"
policy wrong 127.0.0.1:9998
named
other
crowded
conclude
