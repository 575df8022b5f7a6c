#!/usr/bin/env bash
# A policy that names addresses: what it names is reached, in the phase it is named for, and nothing
# else, whatever kind of socket is used and whenever it was made; and what the programs that see to
# it survive.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

PLACES=(main thread)
REACHING=(tcp tcp_mapped tcp_held udp udp_held udp_held_msg udp_connect fastopen)
# Refused as a class, whatever addresses are named.
OTHERS=(fastopen_msg unix_abstract unix_datagram unix_message raw_socket packet_socket netlink_diag)

# make_policies: `right` names the canary for the time of loading, `wrong` another port of its host.
make_policies() {
  policy right "127.0.0.1:$CANARY_PORT"
  policy wrong 127.0.0.1:9998
}
policy() {
  cat >"$MOAT_POLICY_DIR/$1.yaml" <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: $1}
spec:
  extends: [builtin/python]
  phases:
    load:
      network: {access: ["+", "$2"]}
END
}

# serve_with ID POLICY MODE [server option...]: the artifact comes from standard input.
serve_with() {
  start_server "$1" "$MOAT" none --annotation "moat.dev/mode=$3" \
    --annotation "moat.dev/profile=node/$2" --annotation moat.dev/model-paths=/models \
    -- "${@:4}"
  wait_for "$1" '^listening$' || return 1
  wait_for_phase "$1" serve || return 1
  predict >"$RUN_DIR/answer"
}

everything() { for one in "${REACHING[@]}" "${OTHERS[@]}"; do orders "$one" load request:1; done; }
result_of() { sed -nE "s/^attempt ($1) phase=($2) place=[a-z]+ (.*)/\1 \2 \3/p" "$RUN_DIR/$3.out" | sort -u; }
any() { paste -sd'|' <<<"${*// /|}" | tr ' ' '|'; }
expected_results() { for one in "${@:3}"; do echo "$one $1 $2"; done | sort; }
heard() { grep -v '^connection$' "$WORLD/canary" | sort -u; }
heard_in_load() { for one in "${REACHING[@]}"; do echo "$one.load"; echo "$one.load-thread"; done | sort -u; }

# unaddressed ID PHASE: which attempts have no report that says where to, in the kernel's words.
unaddressed() {
  events "$1" 'select(.kind == $kind and .phase.name == $phase and .object.address == $to
      and .object.claimed == false) | .process.comm' \
    --arg kind violation --arg phase "$2" --arg to "127.0.0.1:$CANARY_PORT" | sort -u >"$RUN_DIR/addressed"
  printf '%s\n' "${@:3}" | sort | comm -23 - "$RUN_DIR/addressed"
}

cgroup_of() { echo "$CGROUP2$(sed -n 's/^0:://p' "/proc/$(<"$RUN_DIR/$1.pid")/cgroup")"; }
settled() { sleep 0.5; }

named() {
  check "named: the server loads, listens and answers" serve_with named right enforce < <(everything)
  [[ $HELD ]] || { stop_container named "$CTR_PID"; return; }
  settled
  check "named: what the policy names is reached while it loads, by every kind of socket" \
    same <(expected_results load result=ok "${REACHING[@]}") <(result_of "$(any "${REACHING[*]}")" load named)
  check "named: and heard there, but not once it serves" same <(heard_in_load) <(heard)
  check "named: nothing else is let through with it" nothing grep -E "^attempt ($(any "${OTHERS[*]}")) .*result=ok" "$RUN_DIR/named.out"
  check "named: nothing is reached once it serves" nothing grep -E '^attempt .* phase=serve .*result=ok' "$RUN_DIR/named.out"
  check "named: a socket that was made before says EPERM" equals "udp_held_msg serve errno=EPERM" \
    "$(result_of udp_held_msg serve named)"
  check "named: it is reported with the kernel's own copy of the address" nothing unaddressed named serve udp_held_msg
  session
  cleaned named
}

session() {
  : >"$WORLD/canary"
  check "session: a probe reaches what it always did" ctr_ task exec --fifo-dir "$RUN_DIR/fifo" \
    --exec-id probe named /bin/model_server reach probe
  settled
  check "session: and is heard" equals tcp.probe "$(heard)"
  check "session: nothing of it is a violation" nothing events named \
    'select(.kind == "violation" and .process.comm == "model_server")'
}

cleaned() {
  local folder
  folder=$(cgroup_of "$1")
  check "$1: it has a cgroup of its own" test -d "$folder"
  stop_container "$1" "$CTR_PID"
  check "$1: which is gone with it" test ! -e "$folder"
}

other() {
  check "other: the server loads, listens and answers" serve_with other wrong enforce \
    < <(everything; echo load main udp_race)
  [[ $HELD ]] || { stop_container other "$CTR_PID"; return; }
  settled
  check "other: not a byte reaches the canary, a raced address neither" nothing cat "$WORLD/canary"
  check "other: the race was run" contains "$RUN_DIR/other.out" '^attempt udp_race phase=load place=main result=ok$'
  check "other: each refusal is reported with the kernel's own copy of the address" \
    nothing unaddressed other load "${REACHING[@]}" udp_race
  check "other: nothing is amiss" nothing events other 'select(.kind == "health")'
  stop_container other "$CTR_PID"
}

# A connection from init, to where the list of the next phase leads or does not.
kept() {
  PLACES=(main)
  local phases="init load serve"
  check "cut: the server loads, listens and answers" serve_with cut wrong enforce --connect \
    < <(orders tcp_kept load request:1)
  settled
  check "cut: the canary hears of the connection, and nothing over it" equals connection "$(<"$WORLD/canary")"
  check "cut: whoever uses it is told" nothing grep '^attempt tcp_kept .*result=ok' "$RUN_DIR/cut.out"
  check "cut: an event names the address and the process" equals \
    "connections from an earlier phase were cut: 127.0.0.1:$CANARY_PORT (model_server, pid $(<"$RUN_DIR/cut.pid"))" \
    "$(events cut 'select(.kind == "health") | .message')"
  check "cut: its phases went on" equals "${phases#init }" "$(phases_of cut)"
  stop_container cut "$CTR_PID"
  check "kept: the server loads, listens and answers" serve_with kept right enforce --connect \
    < <(orders tcp_kept load request:1)
  settled
  check "kept: what the phase names lives on until a phase does not" equals "tcp_kept.load" "$(heard)"
  stop_container kept "$CTR_PID"
  PLACES=(main thread)
}

watched() {
  check "audit: the server loads, listens and answers" serve_with watched wrong audit --connect < <(everything)
  settled
  check "audit: everything is reached" same <(expected_results serve result=ok "${REACHING[@]}") \
    <(result_of "$(any "${REACHING[*]}")" serve watched)
  check "audit: nothing is refused" equals 0 "$(count_kind watched violation)"
  # A fast open is one call, whatever else it does; the others are told once for each place.
  check "audit: each is told once" equals "2 2 2" "$(for one in tcp udp udp_held_msg; do
    events watched 'select(.kind == "would_deny" and .phase.name == "load" and .process.comm == $comm
      and .object.address != null and .object.claimed == false) | .kind' --arg comm "$one" | wc -l; done | paste -sd' ')"
  check "audit: a connection from init is told of" equals "connections from init stay open: 127.0.0.1:$CANARY_PORT" \
    "$(events watched 'select(.kind == "health") | .message')"
  stop_container watched "$CTR_PID"
}

flooded() {
  local folder told
  PLACES=(forever)
  check "faults: the server floods" serve_with fault right enforce < <(orders udp_held_msg request:1)
  folder=$(cgroup_of fault)
  told=$(count_kind fault violation)
  check "faults: the programs are taken off" "$MOAT_BIN/tools/detach_programs" "$folder"
  check "faults: then it would get out" wait_until 5 test -s "$WORLD/canary"
  ctr_ task pause fault
  ctr_ task resume fault
  check "faults: after a pause they are back, and this is said" wait_until 5 put_back
  settled
  : >"$WORLD/canary"
  settled
  check "faults: and nothing gets out" nothing cat "$WORLD/canary"
  both_killed "$folder"
}
put_back() { [[ -n $(events fault 'select(.kind == "health" and (.message | contains("put back"))) | .kind') ]]; }

# The daemon is stopped meanwhile: it would clean up by itself.
both_killed() {
  local pid shim
  pid=$(<"$RUN_DIR/fault.pid")
  shim=$(shim_of fault)
  kill -STOP "$CONTAINERD_PID"
  # shellcheck disable=SC2046,SC2086
  kill -KILL $(supervisor_of fault) $shim
  : >"$WORLD/canary"
  sleep 1
  check "crash: the container lives on without shim and supervisor" kill -0 "$pid"
  check "crash: the last phase is still in force" nothing cat "$WORLD/canary"
  kill -CONT "$CONTAINERD_PID"
  check "crash: the container is ended" wait_until 10 gone "$pid"
  check "crash: its cgroup is gone, with the programs at it" wait_until 10 test ! -e "$1"
  stop_container fault "$CTR_PID"
}

begin_e2e "$@"
CGROUP2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
make_image
make_policies
named
other
kept
watched
flooded
conclude
