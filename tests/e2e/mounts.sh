#!/usr/bin/env bash
# Mounts that come to a container later, put there by something with the run of the node: they are
# violations, and held like the others. And what a policy does not ask about is not asked.
# shellcheck disable=SC2034,SC2016  # what one part sets another reads; jq has variables, too
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# serving ID MODE [PROFILE]
serving() {
  start_server "$1" "$MOAT" none --annotation "moat.dev/mode=$2" --annotation "moat.dev/profile=${3:-builtin/python}" \
    --annotation moat.dev/model-paths=/models < <(orders honest request:1)
  wait_for "$1" '^listening$' && wait_for_phase "$1" serve
}

set_mode() { "$MOAT_BIN/moatctl" mode set "$1" "$2" 2>"$RUN_DIR/mode" && echo 0 || echo $?; }
later() { "$MOAT_BIN/tools/mount_in" "$(<"$RUN_DIR/$1.pid")" "${@:2}"; }
flags_of() { awk -v point="$2" '$5 == point {print substr($6, 1, 2)}' "/proc/$(<"$RUN_DIR/$1.pid")/mountinfo" | tail -n 1; }
has_flags() { [[ $(flags_of "$1" "$2") == "$3" ]]; }
told() { events "$1" 'select(.kind == $kind and .rule.id == "never.mount") | .message' --arg kind "$2"; }
is_told() { told "$1" "$2" | grep -qE "$3"; }

enforce() {
  check "enforce: the server serves" serving enforce enforce
  check "enforce: moatctl knows its mode" equals enforce "$("$MOAT_BIN/moatctl" mode get enforce)"
  check "enforce: it does not loosen" equals 1 "$(set_mode enforce audit)"
  check "enforce: ... and that is said" contains "$RUN_DIR/mode" 'the boundary of a running container does not loosen'
  later enforce /var/log
  check "enforce: a mount that comes later is a violation" wait_until 5 is_told enforce violation 'a mount has appeared in the container: /var/log \(tmpfs of later\)'
  check "enforce: it turns read-only" wait_until 5 has_flags enforce /var/log ro
  check "enforce: one event for one mount" equals 1 "$(told enforce violation | wc -l)"
  check "enforce: the server lives and answers" predict 5
  later enforce /var/log --away
  check "enforce: taking it away is one, too" wait_until 5 is_told enforce violation 'taken from the container: /var/log '
  stop_container enforce "$CTR_PID"
}

# What is put over a model in init begins load when it is opened.
over_model() {
  start_server over "$MOAT" enforce -- --await < <(orders honest load)
  check "over: the server waits" wait_for over '^init done$'
  later over /models
  check "over: a mount over the model is a violation" wait_until 5 is_told over violation '/models \(tmpfs of later\)'
  : >"/proc/$(<"$RUN_DIR/over.pid")/root/models/model.bin"
  kill -USR1 "$(<"$RUN_DIR/over.pid")"
  check "over: the server loads from there" wait_for over '^listening$'
  check "over: load has begun" entered over load
  stop_container over "$CTR_PID"
}

audit() {
  check "audit: the server serves" serving audit audit
  check "audit: enforce is for a new container" equals 1 "$(set_mode audit enforce)"
  check "audit: ... and that is said" contains "$RUN_DIR/mode" 'a restart is needed'
  check "audit: what is so already is fine" equals 0 "$(set_mode audit audit)"
  later audit /var/log
  check "audit: a mount that comes later is reported" wait_until 5 is_told audit would_deny '/var/log '
  check "audit: it stays as it is" has_flags audit /var/log rw
  stop_container audit "$CTR_PID"
}

# opens ID: how many opens its serve phase was asked about.
opens() { events "$1" 'select(.kind == "phase" and .phase.name == "shutdown") | .counts.open_events // 0'; }

marks() {
  sed -e 's|PHASES|{serve: {filesystem: {read: ["/**"]}, process: {exec: ["/**"]}}}|' >"$MOAT_POLICY_DIR/wide.yaml" <<'YAML'
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: wide}
spec:
  extends: [builtin/python]
  phases: PHASES
YAML
  check "marks: a server serves whose phase asks about no open" serving wide enforce node/wide
  check "marks: it answers" predict
  stop_container wide "$CTR_PID"
  check "marks: not one open was asked about" equals 0 "$(opens wide)"
  check "marks: a server serves whose phase does" serving narrow enforce
  check "marks: it answers" predict
  stop_container narrow "$CTR_PID"
  check "marks: its opens were" test "$(opens narrow)" -gt 0
}

begin_e2e "$@"
make_image
enforce
over_model
audit
marks
conclude
