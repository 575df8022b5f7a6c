#!/usr/bin/env bash
# What supervisor and keeper could do if a workload took them over: seen from outside, while they
# guard a container that floods them.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

GUARD_USER=$((0x6d6f6174))
PTRACE=$((1 << 19)) READ_SEARCH=$((1 << 2)) KILL=$((1 << 5))

status_of() { awk -v key="$2:" '$1 == key {$1 = ""; print substr($0, 2)}' "/proc/$1/status"; }
capabilities_of() { printf '%d\n' "0x$(status_of "$1" "$2")"; }

# Not dumpable: the kernel gives its files to root, who is not its user.
owner_of_its_files() { stat -c %u "/proc/$1/fd"; }

descriptors_of() {
  local fd
  for fd in "/proc/$1/fd"/*; do readlink "$fd" || true; done | sed -E 's/:\[[0-9]+\]$//' | sort | uniq -c |
    awk '{n = $1; $1 = ""; print substr($0, 2), n}'
}

# On a mount of the node's; what is being opened in the container is held for a moment, too.
of_the_node() {
  local fd mount
  for fd in "/proc/$1/fd"/*; do
    mount=$(awk '$1 == "mnt_id:" {print $2}' "/proc/$1/fdinfo/${fd##*/}" 2>/dev/null) || continue
    ! awk -v id="$mount" '$1 == id {found = 1} END {exit !found}' /proc/self/mountinfo || readlink "$fd" || true
  done
}

# But what it was handed: the event file is for appending, the rest of the container's cgroup; and
# the folder of its own descriptors.
foreign_descriptors() {
  of_the_node "$1" | grep -vE "^(/dev/null|/proc/$1/fd|/sys/fs/cgroup/[^ ]*/$CTR_NAMESPACE/[^ ]*/(cgroup\.kill|cgroup\.procs|freezer\.state)|$MOAT_LOG_DIR/containers/[^ ]*\.jsonl)$" || true
}
sockets_of() { descriptors_of "$1" | awk '$1 == "socket" {print $2}'; }

# confined WHO PID CAPABILITIES
confined() {
  local who=$1 pid=$2 kept=$3 set
  check "$who: has a user of its own" equals "$GUARD_USER $GUARD_USER $GUARD_USER $GUARD_USER" "$(status_of "$pid" Uid)"
  check "$who: has a group of its own" equals "$GUARD_USER $GUARD_USER $GUARD_USER $GUARD_USER" "$(status_of "$pid" Gid)"
  check "$who: is in no other group" equals "" "$(status_of "$pid" Groups)"
  for set in CapEff CapPrm; do
    check "$who: $set is what it needs" equals "$kept" "$(capabilities_of "$pid" "$set")"
  done
  for set in CapInh CapAmb CapBnd; do check "$who: $set is empty" equals 0 "$(capabilities_of "$pid" "$set")"; done
  check "$who: cannot get more" equals 1 "$(status_of "$pid" NoNewPrivs)"
  check "$who: has a seccomp filter" equals 2 "$(status_of "$pid" Seccomp)"
  check "$who: cannot be looked into by its own user" equals 0 "$(owner_of_its_files "$pid")"
  check "$who: descriptors of the node are seen" contains <(of_the_node "$pid") '^/dev/null$'
  check "$who: has none but those it was handed" nothing foreign_descriptors "$pid"
  check "$who: has one socket, the shim's" equals 1 "$(sockets_of "$pid")"
}

begin_e2e "$@"
make_image
check "the server floods" flooding guarded "$MOAT" enforce
keeper_is_there() { [[ $(keeper_of guarded) ]]; }
check "there is a keeper" wait_until 5 keeper_is_there
confined supervisor "$(supervisor_of guarded)" $((PTRACE | READ_SEARCH | KILL))
confined keeper "$(keeper_of guarded)" "$KILL"
check "a successor is there" kill_supervisor guarded
check "the attempts go on and are refused" more_refused guarded
confined successor "$(supervisor_of guarded)" $((PTRACE | READ_SEARCH | KILL))
stop_container guarded "$CTR_PID"
conclude
