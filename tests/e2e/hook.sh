#!/usr/bin/env bash
# The poststop hook under the newer runtimes: all of moat's processes are killed, and only the runtime
# is told to delete the container. (Debian 12's runc is in guard.sh, crun in crun.sh.)
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd,suites} e2e/lib/{checks,victims,reports,leftovers,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

guarded() { [[ "$(shim_of "$1" | wc -w) $(supervisor_of "$1" | wc -w) $(keeper_of "$1" | wc -w)" == "1 1 1" ]]; }

serving() {
  start_server "$1" "$MOAT" enforce < <(orders append load)
  wait_for "$1" '^listening$' && wait_for_phase "$1" serve
}

# deleted_under SUITE-OF-CONTAINERD
deleted_under() {
  local runtime version id
  fetch_suite "$1"
  use_suite "$1"
  runtime=$(PATH=$SUITE_PATH command -v runc)
  version=$("$runtime" --version | awk 'NR == 1 {print $3}')
  id=runc-${version%%+*}
  echo "runtime: $runtime" >"$MOAT_CONFIG"
  check "runc $version: the server serves" serving "$id"
  [[ $HELD ]] || return 0
  check "runc $version: its payload was refused" wait_for "$id" '^attempt append .*errno='
  check "runc $version: shim, supervisor and keeper are there" wait_until 5 guarded "$id"
  check "runc $version: there is something to leave behind" equals "json sock" "$(state_files | sort | paste -sd' ')"
  killed "$id" shim supervisor keeper
  check "runc $version: it deletes what nobody guards" "$runtime" --root "/run/containerd/runc/$CTR_NAMESPACE" delete --force "$id"
  check "runc $version: its hook leaves nothing in the state folder" nothing state_files
  kill -CONT "$CONTAINERD_PID"
  stop_container "$id" "$CTR_PID"
  check "runc $version: nothing is left of it" leaves_nothing_of_moat
}

begin_e2e "$@"
make_image
deleted_under 1.7
deleted_under 2.1
conclude
