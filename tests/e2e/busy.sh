#!/usr/bin/env bash
# A server that keeps a file open for writing outside its scratch places cannot be made safe: its
# artifact is not opened, and it is said which process, which file and which annotation.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

FILE=/var/log/kept.log

# start_busy ID MODE [ctr option...]
start_busy() {
  local id=$1 mode=$2
  shift 2
  start_server "$id" "$MOAT" "$mode" "$@" -- --keep-open "$FILE" < <(orders append load)
}

serves() { wait_for "$1" '^listening$' && wait_for_phase "$1" serve; }

messages() { events "$1" 'select(.kind == "health") | .message' >"$RUN_DIR/$1.messages"; }

enforce() {
  start_busy enforce enforce
  check "enforce: the artifact is refused" wait_for enforce '^attempt open_model .*errno='
  check "enforce: the server ends" wait_until 10 gone "$CTR_PID"
  messages enforce
  check "enforce: a health event names the process" contains "$RUN_DIR/enforce.messages" 'model_server \(pid [0-9]+\)'
  check "enforce: ... the file" contains "$RUN_DIR/enforce.messages" "$FILE"
  check "enforce: ... and the annotation that declares its folder" \
    contains "$RUN_DIR/enforce.messages" 'moat\.dev/cache-paths: /var/log$'
  check "enforce: load was never entered" equals "" "$(phases_of enforce)"
  check "enforce: nothing happened" equals "" "$(effects enforce | grep -v '^file var/log/kept.log$')"
}

# The way out that the message names is one.
declared() {
  start_busy declared enforce --annotation moat.dev/cache-paths=/var/log
  check "declared: the server loads and serves" serves declared
  check "declared: the payload is refused" wait_for declared '^attempt append .*errno='
  stop_container declared "$CTR_PID"
  check "declared: the phases" equals "load serve shutdown" "$(phases_of declared)"
}

audit() {
  start_busy audit audit
  check "audit: the server loads and serves" serves audit
  check "audit: the payload works" wait_for audit '^attempt append .*result=ok'
  stop_container audit "$CTR_PID"
}

begin_e2e "$@"
make_image
enforce
declared
audit
conclude
