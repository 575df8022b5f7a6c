#!/usr/bin/env bash
# The main job of moat on real parts: trains models, serves them in containers under runc and under
# moat, and judges from outside what poisoned ones achieved. Leaves nothing behind but the cache.
#
# usage: tests/demo.sh [--torch] [--stock]
#   --torch   also with PyTorch artifacts (a larger image)
#   --stock   only the part without moat: checks that this machine can show the attack at all
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib/{common,kernel,packages,apt,rootfs,build,containerd} demo/{world,events,scenarios}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

usage() { sed -n '/^# usage:/,/^set/{/shellcheck/!s/^# \?//p}' "$TESTS/${0##*/}"; }

TORCH=() STOCK_ONLY=
for argument in "$@"; do
  case $argument in
    --torch) TORCH=(--torch) ;;
    --stock) STOCK_ONLY=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument '$argument'" 2 ;;
  esac
done

clean_up() {
  [[ -z ${CANARY_PID:-} ]] || kill "$CANARY_PID" 2>/dev/null || true
  stop_containerd
}

prepare() {
  install_packages build run
  fetch_tools
  IMAGE=serving
  local packages=("${SERVING_PACKAGES[@]}")
  ((${#TORCH[@]} == 0)) || { IMAGE=serving-torch; packages=("${TORCH_PACKAGES[@]}"); }
  with_cache_lock build_rootfs "$IMAGE" bookworm "${packages[@]}"
  [[ -n $STOCK_ONLY ]] || build_product
}

# The containers' writable layers are a tmpfs, which can be an upper layer on every machine.
start() {
  local folder
  folder=$(mktemp -d /tmp/moat.XXXXXX)
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  RUN_DIR=$folder  # for clean_up, should the next line fail
  mkdir "$folder/w"
  mount -t tmpfs -o mode=755 moat-demo "$folder/w"
  say "starting a private containerd in $folder"
  start_containerd "$folder"
}

scenarios() {
  train "$IMAGE" "${TORCH[@]}"
  stock_poisoned "$IMAGE" poisoned.joblib
  [[ -z $STOCK_ONLY ]] || return 0
  honest "$IMAGE" honest.joblib
  poisoned "$IMAGE" poisoned.joblib audit
  poisoned "$IMAGE" poisoned.joblib enforce
  late "$IMAGE" deferred.joblib
  ((${#TORCH[@]} > 0)) || return 0
  stock_poisoned "$IMAGE" poisoned.pt
  honest "$IMAGE" honest.pt
  poisoned "$IMAGE" poisoned.pt enforce
}

need_root "$@"
check_kernel
prepare
start
scenarios
clean_up
print_table
say "done"
((FAILED == 0)) || die "$FAILED of ${#ROWS[@]} scenarios did not come out as expected"
