#!/usr/bin/env bash
# A containerd that runs in a chroot: the kernel then tells the container's paths from above its
# root. What is refused, reported and recognised as a model must be the same. Only sessions are left
# out: the exec of runc itself does not find the container's root there.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=/dev/null
source "$TESTS/lib/common.sh"
need_root "$@"

# In a mount namespace of its own, so that nothing of it is seen elsewhere or stays.
export MOAT_CHROOT=yes
# shellcheck disable=SC2016  # expanded by the inner shell
exec unshare --mount --propagation private bash -c '
  root=$(mktemp -d /tmp/moat.XXXXXX)
  mount --rbind / "$root"
  status=0
  chroot "$root" bash "$1" || status=$?
  umount -l "$root"
  rmdir "$root"
  exit "$status"' chroot "$TESTS/e2e/enforce.sh"
