#!/usr/bin/env bash
# The systemd cgroup driver, with a systemd of our own: process 1 of namespaces made for it, with a
# version 2 tree and nothing of the machine's in reach: first without a bus, then with one of its own.
# The machine's own init is not touched.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,bundles,small_rootfs,nested_systemd,stats}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

end_world() { stop_systemd; }

status_of() { ctr_ task ls | awk -v id="$1" '$1 == id {print $3}'; }
is_status() { [[ $(status_of "$1") == "$2" ]]; }
unit_property() { systemctl show "$UNIT" -p "$1" --value; }

# under_systemd ID WAY: the life of one container; WAY is how systemd is reached.
under_systemd() {
  local id=$1 way=$2
  UNIT=moat-$id.scope GROUP=/sys/fs/cgroup/system.slice/moat-$id.scope
  # shellcheck disable=SC2016  # for the shell in there
  check "$way: a container starts under systemd" ctr_ run -d --runtime io.containerd.moat.v2 \
    --cpu-shares 0 --cgroup "system.slice:moat:$id" --annotation moat.dev/mode=off --env PATH=/bin \
    --fifo-dir "$RUN_DIR/fifo" --rootfs "$RUN_DIR/rootfs" "$id" /bin/sh -c 'while :; do echo x >>/tmp/out; done'
  check "$way: it lives in its scope" contains "$GROUP/cgroup.procs" "^$(ctr_ task ls | awk -v id="$id" '$1 == id {print $2}')\$"
  check "$way: which is systemd's" equals active "$(unit_property ActiveState)"
  check "$way: it is given every controller there is" equals "$(</sys/fs/cgroup/cgroup.controllers)" "$(<"$GROUP/cgroup.controllers")"
  check "$way: its processes are listed" test "$(ctr_ task ps "$id" | wc -l)" -gt 1
  check "$way: its statistics are of version 2" contains <(stats_type "$id") '^io.containerd.cgroups.v2.Metrics$'
  check "$way: pause succeeds" ctr_ task pause "$id"
  check "$way: systemd knows that it is frozen" equals frozen "$(unit_property FreezerState)"
  check "$way: and the kernel" contains "$GROUP/cgroup.events" '^frozen 1$'
  check "$way: the runtime agrees" equals paused "$(runc_ state "$id" | jq -r .status)"
  check "$way: a limit of the unit is set" "$MOAT_BIN/tools/unit_limit" "$UNIT" 77
  check "$way: which systemd knows" equals 77 "$(unit_property TasksMax)"
  check "$way: resume succeeds" ctr_ task resume "$id"
  check "$way: systemd knows that it runs" equals running "$(unit_property FreezerState)"
  check "$way: the shim loaded libsystemd" contains "/proc/$(shim_of "$id")/maps" 'libsystemd\.so'
  [[ $way != *bus ]] || check "$way: the shim is on it" contains <(busctl list --no-legend) " $(shim_of "$id") "
  ctr_ task pause "$id" || true
  ctr_ task kill --signal KILL "$id" || true
  check "$way: a kill ends what is paused" wait_until 5 is_status "$id" STOPPED
  check "$way: systemd's removal is noticed" wait_until 5 grep -q "removed the container.s unit.*$id" "$RUN_DIR/containerd.log"
  check "$way: its group is gone" test ! -e "$GROUP"
  check "$way: statistics are answered still" contains <(stats_type "$id") '^io.containerd.cgroups.v2.Metrics$'
  ctr_ task rm "$id" >/dev/null 2>&1 || true
  ctr_ container rm "$id" || true
}

# What runs beside systemd, as one of its services.
inside() {
  RUN_DIR=$MOAT_RUN_DIR
  mkdir -p "$RUN_DIR/in"
  small_rootfs "$RUN_DIR/rootfs"
  mkdir -p "$RUN_DIR/rootfs/tmp"
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  start_containerd "$RUN_DIR"
  under_systemd s1 "directly"
  start_bus
  check "a bus is there" wait_until 5 test -S /run/dbus/system_bus_socket
  check "systemd is on it" wait_until 10 busctl --quiet status org.freedesktop.systemd1
  under_systemd s3 "over the bus"
  check "without the driver" ctr_ run -d --runtime io.containerd.moat.v2 --cpu-shares 0 --annotation moat.dev/mode=off \
    --env PATH=/bin --fifo-dir "$RUN_DIR/fifo" --rootfs "$RUN_DIR/rootfs" s2 /bin/sleep 1000
  check "the shim does not load libsystemd" nothing grep libsystemd "/proc/$(shim_of s2)/maps"
  check "pause is the kernel's" ctr_ task pause s2
  check "and says so" contains "/sys/fs/cgroup$(cgroup_of s2)/cgroup.freeze" '^1$'
  check "resume as well" ctr_ task resume s2
  ctr_ task rm --force s2 >/dev/null 2>&1 || true
  ctr_ container rm s2 || true
  compare
  stop_daemon
  check "no scope is left" nothing systemctl list-units --no-legend --all "moat-*.scope"
  echo "$CHECKED $BROKEN" >"$RUN_DIR/verdict"
}

# Version 2 as runc's shim tells it.
compare() {
  local shim id
  VERSION=v2
  for id in stock moat; do
    shim=$id
    [[ $shim != stock ]] || shim=runc
    ctr_ run -d --runtime "io.containerd.$shim.v2" --cpu-shares 0 --cgroup /moat/both --env PATH=/bin \
      --annotation moat.dev/mode=off --fifo-dir "$RUN_DIR/fifo" --rootfs "$RUN_DIR/rootfs" "$id" /bin/sleep 1000
  done
  same_stats "in one group"
  for id in stock moat; do
    ctr_ task rm --force "$id" >/dev/null 2>&1 || true
    ctr_ container rm "$id" || true
  done
}

runc_() { "$MOAT_TOOLS/usr/sbin/runc" --root "/run/containerd/runc/$CTR_NAMESPACE" "$@"; }
cgroup_of() { sed -n 's/^0:://p' "/proc/$(ctr_ task ls | awk -v id="$1" '$1 == id {print $2}')/cgroup"; }
stats_type() {
  local socket
  socket=$(<"$RUN_DIR/state/io.containerd.runtime.v2.task/$CTR_NAMESPACE/$1/address")
  "$MOAT_BIN/tools/shim_stats" "${socket#unix://}" "$1" | head -n 1 | tr -d '\0'
}

if [[ ${1:-} == inside ]]; then
  inside
  exit
fi

need_root "$@"
fetch_tools
for program in /lib/systemd/systemd /usr/bin/dbus-daemon; do
  [[ -x $program ]] || die "there is no $program; tests/run.sh installs it" 3
done
start_systemd "$0"
check "the service of the test ends" wait_until 50 test -e "$RUN_DIR/verdict"
cat "$RUN_DIR/service.log"
[[ -e $RUN_DIR/verdict ]] || tail -n 20 "$RUN_DIR/systemd.log" "$RUN_DIR/containerd.log" >&2 || true
stop_systemd
check "nothing of it is left" nothing leftovers_of_systemd
read -r checked broken <"$RUN_DIR/verdict" || true
CHECKED=$((CHECKED + ${checked:-0})) BROKEN=$((BROKEN + ${broken:-1}))
conclude
