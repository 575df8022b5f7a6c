# shellcheck shell=bash disable=SC2034
# The containerd versions of Debian's suites, each with the runc of its suite.

declare -A SUITES=([1.6]=bookworm [1.7]=trixie [2.1]=sid)

fetch_suite() { with_cache_lock fill_suite "${SUITES[$1]}"; }

fill_suite() {
  fetch_debs "$1" "$1" containerd runc
  [[ $1 != bookworm ]] || return 0
  fetch_debs "$1" "$1-libc" libc6 libseccomp2
  runc_with_libc "$1"
}

# A newer suite's runc wants its own C library. It runs its own file again before it enters a
# container, so neither the loader as a command nor LD_LIBRARY_PATH would do.
runc_with_libc() {
  local libc=$MOAT_CACHE/tools/$1-libc runc=$MOAT_CACHE/tools/$1-libc/runc
  [[ ! $runc -nt $MOAT_CACHE/tools/$1/.stamp || ! $runc -nt $libc/.stamp ]] || return 0
  cp "$MOAT_CACHE/tools/$1/usr/sbin/runc" "$runc.new"
  patchelf --set-interpreter "$libc/usr/lib64/ld-linux-x86-64.so.2" \
    --set-rpath "$libc/usr/lib/x86_64-linux-gnu" "$runc.new" || die "cannot give $1's runc its libraries"
  mv "$runc.new" "$runc"
}

# use_suite VERSION: SUITE_BIN, the folder of containerd, ctr and the stock shim; SUITE_PATH with
# runc and all of them.
use_suite() {
  local suite=${SUITES[$1]}
  SUITE_BIN=$MOAT_CACHE/tools/$suite/usr/bin
  SUITE_PATH=$SUITE_BIN:$MOAT_CACHE/tools/$suite/usr/sbin
  [[ $suite == bookworm ]] || SUITE_PATH=$MOAT_CACHE/tools/$suite-libc:$SUITE_PATH
}
