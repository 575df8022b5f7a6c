#!/usr/bin/env bash
# The shim, or one supervisor after the other, is killed while a server attempts what it may not, in
# a loop: nothing succeeds, and the container does not outlive them.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

health() { events "$1" 'select(.kind == "health") | .message'; }

# More losses in ten seconds than an accident explains.
supervisor_killed_often() {
  local i
  check "often: the server floods" flooding often "$MOAT" enforce
  for ((i = 0; i < 11; i++)); do kill_supervisor often >/dev/null || break; done
  check "a supervisor that is lost again and again ends the container within 2 s" dead_within often 2
  check "often: an event says so" contains <(health often) 'again and again: the container is killed'
  check "often: the shim says so" contains "$RUN_DIR/containerd.log" "supervisor is gone.*often"
  nothing_happened often
  stop_container often "$CTR_PID"
}

# The daemon is stopped meanwhile: it would clean up after the shim by itself.
shim_killed() {
  local shim supervisor
  check "shim: the server floods" flooding shim "$MOAT" enforce
  shim=$(shim_of shim)
  supervisor=$(supervisor_of shim)
  check "shim: there is one shim, and one supervisor" equals "1 1" "$(wc -w <<<"$shim") $(wc -w <<<"$supervisor")"
  kill -STOP "$CONTAINERD_PID"
  kill -KILL "$shim"
  check "shim: the container is dead within 2 s" dead_within shim 2
  check "shim: its supervisor is gone within 2 s" gone_within "$supervisor" 2
  kill -CONT "$CONTAINERD_PID"
  nothing_happened shim
  stop_container shim "$CTR_PID"
}

begin_e2e "$@"
make_image
stock
supervisor_killed_often
shim_killed
conclude
