# shellcheck shell=bash disable=SC2034
# Root file systems for containers, built once from Debian packages and kept unpacked in the cache.
# A container gets an overlay over one: importing the 450 MB serving image into containerd took 22 s
# of a 60 s budget (most of it waiting for the disk), a mount takes none.

# Nobody reads documentation in a server. The compiler and the static libraries come in because
# scipy depends on pythran, which depends on g++; without them the image is half as large.
ROOTFS_WITHOUT=(
  '/usr/share/man/*' '/usr/share/doc/*' '/usr/share/info/*' '/usr/share/locale/*'
  '/usr/include/*' '/usr/lib/*.a' '/usr/lib/*/lib?san.so*'
  '/usr/lib/gcc/*/cc1*' '/usr/lib/gcc/*/lto1' '/usr/bin/*lto-dump*'
)

SERVING_PACKAGES=(python3 python3-numpy python3-sklearn python3-joblib)
TORCH_PACKAGES=("${SERVING_PACKAGES[@]}" python3-torch)

# build_rootfs NAME SUITE PACKAGE...: $MOAT_CACHE/rootfs/NAME, a directory.
build_rootfs() {
  local name=$1 suite=$2 dest=$MOAT_CACHE/rootfs/$1 want
  shift 2
  want="1 $suite $* ${ROOTFS_WITHOUT[*]}"
  [[ -d $dest && -r $dest.stamp && $(<"$dest.stamp") == "$want" ]] && return
  say "building the root file system '$name' from $suite: $*"
  quietly "$MOAT_CACHE/log/rootfs-$name.log" bootstrap "$dest" "$suite" "$@" ||
    die "cannot build the root file system '$name'; the first run needs a Debian mirror"
  echo "$want" >"$dest.stamp"
}

# In a subshell, for the trap: a half root file system never gets its name.
bootstrap() (
  dest=$1 suite=$2
  shift 2
  mkdir -p "$(dirname "$dest")"
  rm -rf --one-file-system "$dest".??????  # of a run that was killed; the cache is locked
  work=$(mktemp -d "$dest.XXXXXX")
  trap 'rm -rf --one-file-system "$work"' EXIT
  trap 'exit 130' INT TERM
  options=(--variant=minbase --mode=root --format=directory --dpkgopt=force-unsafe-io)
  options+=("--aptopt=APT::Install-Recommends \"false\"" "--include=$(IFS=,; echo "$*")")
  for path in "${ROOTFS_WITHOUT[@]}"; do options+=("--dpkgopt=path-exclude=$path"); done
  TMPDIR=/tmp mmdebstrap "${options[@]}" "$suite" "$work/root" "$(source_line "$suite")" || exit
  rm -f "$dest.stamp"
  rm -rf --one-file-system "$dest"
  mv "$work/root" "$dest"
)

# mount_rootfs NAME DIR: an overlay of the cached tree on DIR/rootfs; what the container writes is
# in DIR/upper. DIR must lie on a file system that can be an upper layer (a tmpfs always can, the
# machine's own root may itself be an overlay).
mount_rootfs() {
  mkdir -p "$2"/{rootfs,upper,work}
  mount -t overlay -o "lowerdir=$MOAT_CACHE/rootfs/$1,upperdir=$2/upper,workdir=$2/work" \
    moat-rootfs "$2/rootfs"
}
