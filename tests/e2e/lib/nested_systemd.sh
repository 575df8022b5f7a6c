# shellcheck shell=bash disable=SC2034
# A systemd as process 1 of namespaces of its own: processes, mounts, cgroups, names. It sees a version
# 2 tree, empty /run and /var, and one target; what it would set up on a machine is not there
# for it to run, and the kernel's settings are read-only.

# start_systemd SCRIPT: it runs SCRIPT with the word "inside" as a service, which finds RUN_DIR in
# MOAT_RUN_DIR, and writes RUN_DIR/service.log. RUN_DIR is the machine's.
start_systemd() {
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  CTR_NAMESPACE=moat-${RUN_DIR##*.} NEW_FOLDERS=
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  local unified
  unified=$(cgroup_mounts2 | head -n 1)
  SYSTEMD_GROUP=$unified/${RUN_DIR##*/}
  mkdir "$SYSTEMD_GROUP"
  nested_units "$1" >"$RUN_DIR/units"
  nested_init >"$RUN_DIR/init.sh"
  # In its own group first: the namespace begins where the process is.
  (
    echo "$BASHPID" >"$SYSTEMD_GROUP/cgroup.procs"
    exec unshare --pid --mount --cgroup --uts --ipc --fork --mount-proc --kill-child \
      bash "$RUN_DIR/init.sh" </dev/null >"$RUN_DIR/systemd.log" 2>&1
  ) &
  SYSTEMD_PID=$!
  # A group with a process in it gives no controllers to those below.
  wait_until 10 test -d "$SYSTEMD_GROUP/init.scope" || true
  echo "$SYSTEMD_PID" >"$unified/cgroup.procs"
}

# The mount points of version 2 trees.
cgroup_mounts2() { awk '{for (i = 1; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") print $5}' /proc/self/mountinfo; }

nested_units() {
  cat <<END
[Unit]
DefaultDependencies=no
AllowIsolate=yes
Wants=moat-test.service
--- moat-test.service
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
Delegate=yes
KillMode=process
Environment=MOAT_RUN_DIR=$RUN_DIR MOAT_BUILD=$MOAT_BUILD MOAT_CACHE=$MOAT_CACHE HOME=/root
ExecStart=/bin/bash $(realpath "$1") inside
StandardOutput=file:$RUN_DIR/service.log
StandardError=file:$RUN_DIR/service.log
END
}

nested_init() {
  cat <<END
set -e
mount --make-rprivate /
for dir in /run /var; do mount -t tmpfs -o mode=755 tmpfs "\$dir"; done
while umount -R /sys/fs/cgroup 2>/dev/null; do :; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /dev
mkdir /dev/shm /dev/pts
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod -m 666 /dev/tty c 5 0
mknod -m 600 /dev/console c 5 1
ln -s /proc/self/fd /dev/fd
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mkdir -p /run/systemd/system /run/lock
sed '/^---/,\$d' "$RUN_DIR/units" >/run/systemd/system/moat-test.target
sed '1,/^---/d' "$RUN_DIR/units" >/run/systemd/system/moat-test.service
exec env -i container=moat SYSTEMD_UNIT_PATH=/run/systemd/system PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  /lib/systemd/systemd --system --unit=moat-test.target --log-target=console --show-status=no
END
}

# In there: the system bus, of which systemd becomes a part.
start_bus() {
  printf '%s\n' '[Unit]' DefaultDependencies=no '[Socket]' ListenStream=/run/dbus/system_bus_socket \
    >/run/systemd/system/dbus.socket
  printf '%s\n' '[Unit]' DefaultDependencies=no Requires=dbus.socket '[Service]' Type=notify NotifyAccess=main \
    'ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation' \
    >/run/systemd/system/dbus.service
  systemctl daemon-reload
  systemctl start dbus.socket dbus.service
}

# With process 1 everything in its namespaces ends.
stop_systemd() {
  [[ -n ${SYSTEMD_PID:-} ]] || return 0
  kill -KILL "$SYSTEMD_PID" 2>/dev/null || true
  wait "$SYSTEMD_PID" 2>/dev/null || true
  SYSTEMD_PID=
  wait_until 5 no_groups || true
}
no_groups() {
  [[ ! -d $SYSTEMD_GROUP ]] || find "$SYSTEMD_GROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
  [[ ! -d $SYSTEMD_GROUP ]]
}

leftovers_of_systemd() {
  [[ ! -d $SYSTEMD_GROUP ]] || find "$SYSTEMD_GROUP" -type d
  pgrep -f "$RUN_DIR/" | grep -vx "$$" || true
}
