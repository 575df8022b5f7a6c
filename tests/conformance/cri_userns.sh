#!/usr/bin/env bash
# A pod with users of its own (hostUsers: false), through containerd 2.1 and runc 1.3: under moat it
# is the same as under the stock shim.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel,suites} e2e/lib/{checks,small_rootfs} lib/node \
  conformance/lib/cri_pods; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

OWN_USERS='.linux.security_context.namespace_options.userns_options =
  {mode: "POD", uids: [{host_id: 100000, container_id: 0, length: 65536}],
   gids: [{host_id: 200000, container_id: 0, length: 65536}]}'

# map_of PID FILE
map_of() { awk '{print $1, $2, $3}' "/proc/$1/$2"; }

users() {
  local pid
  check "$1: a pod with users of its own is made" run_pod "$1" "$2" "$3" "$OWN_USERS"
  [[ $HELD ]] || return 0
  check "$1: a container in it starts" launch app . /bin/sh -c 'echo made >/made; echo here; exec sleep 1000'
  if [[ ! $HELD ]]; then
    stop_pod && remove_pod
    return
  fi
  pid=$(pid_in "$ID")
  check "$1: its users are those that were asked for" equals "0 100000 65536" "$(map_of "$pid" uid_map)"
  check "$1: its groups are, too" equals "0 200000 65536" "$(map_of "$pid" gid_map)"
  check "$1: on the node it is nobody's root" equals "100000 200000" "$(stat -c '%u %g' "/proc/$pid")"
  check "$1: inside, the image's files are root's" equals "0|0 0|" "$(in_container "$ID" 10 /bin/stat -c '%u %g' /bin/sh | tr -d '\n')"
  check "$1: a new file is root's there" equals "0|0 0|" "$(in_container "$ID" 10 /bin/stat -c '%u %g' /made | tr -d '\n')"
  check "$1: and the pod's on the node" equals "100000 200000" "$(stat -c '%u %g' "/proc/$pid/root/made")"
  check "$1: the image's own files are nobody else's" equals "0 0" "$(stat -c '%u %g' "$RUN_DIR/app/bin/sh")"
  check "$1: an exec is inside as well" equals "0|0|" "$(in_container "$ID" 10 /bin/id -u | tr -d '\n')"
  check "$1: its log is written" wait_until 5 logged app "$1" "stdout F here"
  stop "$ID" 1
  check "$1: its end is told" equals "EXITED 137 Error" "$(status "$ID")"
  check "$1: the pod is stopped and removed" stopped_and_removed
  check "$1: nothing is left: processes, mounts, cgroups, sockets, runtime state, links" pods_leave_nothing
}

stopped_and_removed() { stop_pod && remove_pod; }

SMALL_PROGRAMS+=(stat)
begin_cri 2.1 "$@"
check "the handlers say that they can" equals "moat-path true runc true" "$(cri Status | jq -r '.runtime_handlers[] |
  select(.name == "runc" or .name == "moat-path") | "\(.name) \(.features.user_namespaces)"' | paste -sd' ')"
users stock runc '{}'
users off moat-path '{"moat.dev/mode": "off"}'
users audit moat-path '{"moat.dev/mode": "audit"}'
users enforce moat-path '{"moat.dev/mode": "enforce", "moat.dev/profile": "builtin/python", "moat.dev/model-paths": "/models"}'
conclude
