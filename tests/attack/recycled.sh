#!/usr/bin/env bash
# Numbers of processes change hands quickly while who asked with them is killed: nobody is allowed
# what another asked for, nobody is punished for another. Runs in a process namespace with few numbers.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood} attack/lib/stress; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

FEW=600  # numbers below 300 are given once
need_root "$@"
if [[ ! ${MOAT_RECYCLED:-} ]]; then
  fetch_tools
  MOAT_RECYCLED=yes exec unshare --pid --fork --kill-child --mount-proc bash "$0" "$@"
fi
# A namespace has a bound of its own since Linux 6.14; before, this would be the machine's.
if [[ $(uname -r | awk -F. '{print ($1 * 100 + $2 >= 614)}') == 0 ]]; then
  echo "before Linux 6.14 a process namespace has no pid_max of its own"
  exit 77
fi
echo "$FEW" >/proc/sys/kernel/pid_max

kill_policy() {
  cat >"$MOAT_POLICY_DIR/killing.yaml" <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: killing}
spec:
  extends: [builtin/python]
  onViolation: kill
END
}

# Stopped at any point of what it does, so that a number it holds gets old.
held_up() {
  local pid
  while pid=$(supervisor_of "$1") && [[ $pid ]]; do
    kill -STOP "$pid" && sleep "0.0$((RANDOM % 40 + 10))" && kill -CONT "$pid"
    sleep "0.00$((RANDOM % 9))"
  done
}

recycled() {
  local id=$1 holder
  stressed "$id" -- recycle "${MOAT_RECYCLE:-5}"
  check "$id: the server works" working "$id" '^working'
  held_up "$id" 2>/dev/null &
  holder=$!
  check "$id: it ends" wait_for "$id" '^recycled'
  wait "$holder" || true
  say "        $id: $(grep '^recycled' "$RUN_DIR/$id.out")"
  check "$id: numbers were used again" test "$(fared "$id" recycled made)" -gt $((2 * (FEW - 300)))
  check "$id: not one attempt succeeded" equals 0 "$(fared "$id" recycled succeeded)"
  check "$id: nobody died for another" equals 0 "$(fared "$id" recycled bystanders_died)"
  check "$id: not one effect" nothing changed "$id"
  check "$id: attempts are reported" test "$(count_kind "$id" violation)" -gt 0
  wait_until 5 gone "$CTR_PID" || stop_container "$id" "$CTR_PID"
}

begin_e2e "$@"
kill_policy
recycled refused
PROFILE=node/killing recycled killed
conclude
