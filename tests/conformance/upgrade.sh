#!/usr/bin/env bash
# containerd is upgraded, and rolled back, under running containers: 1.6, 1.7, 2.1, and 1.7 again.
# shellcheck disable=SC2034,SC2016  # what one part sets another reads; $ belongs to the shell inside
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel,suites} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

begin() {
  need_root "$@"
  fetch_tools
  fetch_suite 1.7
  fetch_suite 2.1
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  start_containerd "$RUN_DIR"
}
end_world() { :; }

# go_on VERSION: that containerd takes over. runc stays the one the containers were made by.
go_on() {
  stop_daemon
  use_suite "$1"
  MOAT_TOOLS=${SUITE_BIN%/usr/bin}
  launch_containerd
}

run() {
  echo "$1" >>"$RUN_DIR/ids"
  ctr_ run --runtime io.containerd.moat.v2 --annotation moat.dev/mode=off --env PATH=/bin -d \
    --fifo-dir "$RUN_DIR/fifo" --rootfs "$RUN_DIR/rootfs" "$@"
}
status_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}'; }
pid_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $2}'; }
exec_() { ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id "x$RANDOM" "$@"; }
version_of_daemon() { ctr_ version | awk '/^Server/ {server = 1} server && $1 == "Version:" {print $2}'; }

# under VERSION: everything a daemon does with what another has started.
under() {
  local version=$1 id
  go_on "$version"
  check "containerd $(version_of_daemon): the oldest container is the same" equals "$OLDEST" "$(pid_of oldest)"
  check "$version: it runs an exec" equals "in $version" "$(exec_ oldest /bin/echo "in $version")"
  check "$version: pause and resume" equals "PAUSED RUNNING" \
    "$(ctr_ task pause oldest; status_of oldest | tr '\n' ' '; ctr_ task resume oldest; status_of oldest)"
  for id in "${OLDER[@]}"; do
    ctr_ task kill --signal TERM "$id"
    wait_until 5 stopped "$id"
    check "$version: $id ends with its code" contains <(ctr_ task rm "$id" 2>&1) 'non-zero exit code 5'
    check "$version: and can be removed" ctr_ container rm "$id"
  done
  run "of-$version" /bin/sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
  check "$version: a new one starts" equals RUNNING "$(status_of "of-$version")"
  OLDER=("of-$version")
}
stopped() { [[ $(status_of "$1") == STOPPED ]]; }

begin "$@"
run oldest /bin/sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'
OLDEST=$(pid_of oldest) OLDER=()
run of-1.6 /bin/sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
OLDER=(of-1.6)
under 1.7
under 2.1
under 1.7
ctr_ task kill --signal TERM oldest
wait_until 5 stopped oldest
check "the oldest container ends with its code" contains <(ctr_ task rm oldest 2>&1) 'non-zero exit code 7'
conclude
