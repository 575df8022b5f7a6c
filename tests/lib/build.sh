# shellcheck shell=bash disable=SC2034
# Builds the tree. There is one build folder; the demo and the tests choose by target, so that one
# after the other compiles nothing twice.

MOAT_BIN=$MOAT_BUILD/bin
# Paths are told relative to the tree, so that another clone of it finds what this one compiled.
export CCACHE_DIR=${CCACHE_DIR:-$MOAT_CACHE/ccache} CCACHE_BASEDIR=$MOAT_SOURCE CCACHE_NOHASHDIR=1
PRODUCT=(containerd-shim-moat-v2 moatctl moat-hook)

# build_product: the binaries only. An existing configuration is kept as it is: a tree that is set
# up for tests must not lose them because somebody looked at the demo.
build_product() {
  [[ -f $MOAT_BUILD/build.ninja || -f $MOAT_BUILD/Makefile ]] || configure -DMOAT_TESTS=OFF
  say "building ${PRODUCT[*]}"
  build_targets "${PRODUCT[@]}"
}

build_everything() {
  configure -DMOAT_TESTS=ON
  say "building everything"
  build_targets all
}

configure() {
  local generator=(-G Ninja)
  [[ ! -f $MOAT_BUILD/CMakeCache.txt ]] || generator=()  # it has one, and cannot change it
  say "configuring $MOAT_BUILD"
  quietly "$MOAT_CACHE/log/configure.log" cmake "${generator[@]}" -S "$MOAT_SOURCE" -B "$MOAT_BUILD" "$@" ||
    die "cmake cannot configure $MOAT_BUILD"
}

build_targets() {
  quietly "$MOAT_CACHE/log/build.log" cmake --build "$MOAT_BUILD" --target "$@" ||
    die "the build failed"
}
