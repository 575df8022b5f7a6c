#!/usr/bin/env bash
# The product builds for arm64 with Debian's cross compiler, without a warning, and its binaries
# start on the same old nodes. They are not run: this machine has no arm64.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common apt build; do
  # shellcheck source=/dev/null
  source "$TESTS/lib/$part.sh"
done

SYSROOT=$MOAT_CACHE/tools/arm64
FOLDER=$MOAT_BUILD/cross-arm64
with_cache_lock fetch_debs bookworm/arm64 arm64 libyaml-cpp-dev libprotobuf-dev libexpected-dev \
  libfmt-dev nlohmann-json3-dev rapidjson-dev libcli11-dev libseccomp-dev

cmake -G Ninja -S "$MOAT_SOURCE" -B "$FOLDER" -DMOAT_TESTS=OFF -DMOAT_SYSROOT="$SYSROOT" \
  -DCMAKE_TOOLCHAIN_FILE="$TESTS/cross/aarch64.cmake" -DCMAKE_BUILD_TYPE=None >"$MOAT_CACHE/log/arm64.log" ||
  { tail -n 20 "$MOAT_CACHE/log/arm64.log"; die "cmake cannot configure for arm64"; }
cmake --build "$FOLDER" --target "${PRODUCT[@]}"

for binary in "${PRODUCT[@]}"; do
  readelf -h "$FOLDER/bin/$binary" | grep -q AArch64 || die "$binary is not for arm64"
  newest=$(aarch64-linux-gnu-objdump -T "$FOLDER/bin/$binary" | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1)
  [[ $(printf '%s\nGLIBC_2.34\n' "$newest" | sort -V | tail -n 1) == GLIBC_2.34 ]] ||
    die "$binary needs $newest; nodes have GLIBC_2.34"
  say "$binary: arm64, $newest at most"
done
