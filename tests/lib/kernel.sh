# shellcheck shell=bash
# Can this machine run moat at all? Asked before anything is installed or built, so only bash,
# coreutils and util-linux are used here. Every finding is one line with a way out.

# check_kernel: names everything that is missing, then exits 3.
check_kernel() {
  local missing
  missing=$(kernel_findings)
  [[ -z $missing ]] && return
  printf '%s\n' "$missing" >&2
  exit 3
}

kernel_findings() {
  if [[ ! -r /proc/self/status || ! -r /proc/sys/kernel/osrelease ]]; then
    echo "missing: /proc; mount it with: mount -t proc proc /proc"
    return
  fi
  find_version
  find_capabilities
  find_seccomp
  find_fanotify
  find_cgroup
  find_root
  # Without CAP_SYS_ADMIN, or a root to start from, nothing mounts, which is said already.
  ! has_capability 21 || [[ -n $(find_root) ]] || find_overlay
}

find_version() {
  local release major minor
  release=$(</proc/sys/kernel/osrelease)
  IFS=.- read -r major minor _ <<<"$release"
  minor=${minor%%[!0-9]*}
  ((major > 5 || (major == 5 && minor >= 14))) ||
    echo "missing: Linux 5.14 or newer (this is $release); boot a newer kernel, Debian 12's own is 6.1"
}

# The numbers are those of linux/capability.h.
find_capabilities() {
  local name
  local -A needed=([CAP_DAC_READ_SEARCH]=2 [CAP_NET_ADMIN]=12 [CAP_SYS_PTRACE]=19 [CAP_SYS_ADMIN]=21)
  for name in "${!needed[@]}"; do
    has_capability "${needed[$name]}" ||
      echo "missing: privilege $name; run outside the container, or with --privileged"
  done
}

has_capability() {
  local name value
  while IFS=$':\t' read -r name value _; do
    [[ $name != CapEff ]] || ((16#$value >> $1 & 1)) || return 1
  done </proc/self/status
}

find_seccomp() {
  local actions=/proc/sys/kernel/seccomp/actions_avail
  [[ -r $actions && " $(<"$actions") " == *" user_notif "* ]] ||
    echo "missing: seccomp user notification (CONFIG_SECCOMP_FILTER, no user_notif in $actions)"
}

# A runtime changes the root mount's propagation: a bare chroot has none to change.
find_root() {
  local fields
  while read -r -a fields; do
    [[ ${fields[4]} != / ]] || return 0
  done </proc/self/mountinfo
  echo "missing: a mount at / (this is a chroot into a folder); bind the folder on itself before chroot: mount --bind DIR DIR"
}

# Whether permission events are compiled in is only written in the kernel's configuration; where
# that cannot be read, nothing is said, and the product's own probe has the last word.
find_fanotify() {
  [[ -d /proc/sys/fs/fanotify ]] || {
    echo "missing: fanotify (CONFIG_FANOTIFY, no /proc/sys/fs/fanotify)"
    return
  }
  ! kernel_config | grep -q '^# CONFIG_FANOTIFY_ACCESS_PERMISSIONS is not set' ||
    echo "missing: fanotify permission events (CONFIG_FANOTIFY_ACCESS_PERMISSIONS)"
}

kernel_config() {
  local file
  file=/boot/config-$(</proc/sys/kernel/osrelease)
  if [[ -r /proc/config.gz ]]; then
    zcat /proc/config.gz
  elif [[ -r $file ]]; then
    cat "$file"
  fi
}

# cgroup_mounts: the mount points of every cgroup hierarchy, of either version.
cgroup_mounts() {
  local fields
  while read -r -a fields; do
    [[ " ${fields[*]} " != *" - cgroup"* ]] || printf '%b\n' "${fields[4]}"
  done </proc/self/mountinfo
}

find_cgroup() {
  local mount probe seen=
  while read -r mount; do
    seen=$mount
    probe=$mount/moat-check.$$
    if mkdir "$probe" 2>/dev/null; then
      rmdir "$probe"
      return
    fi
  done < <(cgroup_mounts)
  if [[ -n $seen ]]; then
    echo "missing: a writable cgroup hierarchy ($seen refuses new groups); remount it rw"
  else
    echo "missing: a cgroup hierarchy; mount one with: mount -t cgroup2 cgroup2 /sys/fs/cgroup"
  fi
}

# Tried in a mount namespace of its own, so that nothing can stay behind: the layout is the one the
# containers get, a directory below and a tmpfs above.
find_overlay() {
  local dir status=0
  dir=$(mktemp -d "${TMPDIR:-/tmp}/moat-check.XXXXXX")
  mkdir "$dir/lower" "$dir/rw"
  # shellcheck disable=SC2016  # $1 belongs to the inner shell
  unshare --mount --propagation private sh -ec '
    mount -t tmpfs tmpfs "$1/rw"
    mkdir "$1/rw/upper" "$1/rw/work" "$1/rw/merged"
    mount -t overlay -o "lowerdir=$1/lower,upperdir=$1/rw/upper,workdir=$1/rw/work" overlay "$1/rw/merged"
  ' sh "$dir" 2>/dev/null || status=$?
  rm -r "$dir"
  ((status == 0)) ||
    echo "missing: mounting overlayfs in a new mount namespace; try: modprobe overlay"
}
