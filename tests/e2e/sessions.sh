#!/usr/bin/env bash
# Sessions held to a boundary of their own: a probe does what it is for, and nothing else, whatever
# the container's phase would allow; without one nothing is new.
# shellcheck disable=SC2034,SC2016  # what one part sets another reads; jq has variables, too
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

policy() {
  cat >"$MOAT_POLICY_DIR/$1.yaml" <<YAML
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: $1}
spec:
  extends: [builtin/python]
  sessions: $2
YAML
}

# serving ID
serving() {
  start_server "$1" "$MOAT" none --annotation moat.dev/mode=enforce --annotation "moat.dev/profile=node/$1" \
    --annotation moat.dev/model-paths=/models < <(orders honest load)
  wait_for "$1" '^listening$' && wait_for_phase "$1" serve
}

# in_session ID EXEC-ID COMMAND...: what it says, and its status.
in_session() {
  ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id "$2" "$1" "${@:3}" 2>&1 </dev/null && echo status 0 || echo "status $?"
}

rules() { events "$1" 'select(.kind == $kind and .exec_id == $exec) | .rule.id' --arg kind "$2" --arg exec "$3" | sort -u | paste -sd' '; }

BOUNDARY='{filesystem: {read: ["/bin/**", "/lib/**", "/lib64/**", "/usr/lib/**", /etc/hosts], exec: ["@image"]},
    process: {exec: [/bin/sh, "/usr/bin/dash", "/bin/dash"], create: false, thread: true}}'

held() {
  policy held "{boundary: $BOUNDARY}"
  check "held: the server serves" serving held
  check "held: a session does what it is for" equals $'127.0.0.1 localhost\nstatus 0' \
    "$(in_session held s1 /bin/sh -c 'read -r line </etc/hosts; echo "$line"')"
  check "held: it reads nothing else, a model either" contains \
    <(in_session held s2 /bin/sh -c 'read -r line </models/model.bin && echo read') 'status [1-9]'
  check "held: ... and that is a violation of the sessions' boundary" equals sessions.filesystem.read "$(rules held violation s2)"
  check "held: it makes no process" contains <(in_session held s3 /bin/sh -c '(:) && echo forked') 'status [1-9]'
  check "held: ... that is one, too" equals sessions.process.create "$(rules held violation s3)"
  check "held: another program does not start" contains <(in_session held s4 /bin/model_server fds) 'status [1-9]'
  check "held: ... that is one, too" equals sessions.process.exec "$(rules held violation s4)"
  check "held: the server may still read its model" equals 0 "$(events held 'select(.kind == "violation" and (.exec_id // "") == "") | .kind' | wc -l)"
  check "held: and answers" predict 5
  stop_container held "$CTR_PID"
}

watched() {
  policy watched "{verdict: audit, boundary: $BOUNDARY}"
  check "watched: the server serves" serving watched
  check "watched: a session goes on" contains <(in_session watched s1 /bin/sh -c 'read -r line </models/model.bin; echo read') '^read$'
  check "watched: what it should not have done is reported" equals sessions.filesystem.read "$(rules watched would_deny s1)"
  check "watched: nothing is refused" equals 0 "$(count_kind watched violation)"
  stop_container watched "$CTR_PID"
}

none() {
  policy none deny
  check "none: the server serves" serving none
  check "none: no session starts" contains <(in_session none s1 /bin/sh -c 'echo here') 'status [1-9]'
  stop_container none "$CTR_PID"
}

begin_e2e "$@"
make_image
held
watched
none
conclude
