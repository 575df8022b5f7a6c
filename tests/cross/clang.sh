#!/usr/bin/env bash
# The whole tree, tests included, compiles without a warning under clang as well.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common build; do
  # shellcheck source=/dev/null
  source "$TESTS/lib/$part.sh"
done

FOLDER=$MOAT_BUILD/cross-clang
# Without optimising: what is asked here is what the front end says.
cmake -G Ninja -S "$MOAT_SOURCE" -B "$FOLDER" -DMOAT_TESTS=ON -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang \
  -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O0 -U_FORTIFY_SOURCE" >"$MOAT_CACHE/log/clang.log" ||
  { tail -n 20 "$MOAT_CACHE/log/clang.log"; die "cmake cannot configure for clang"; }
cmake --build "$FOLDER"
say "the tree is clean under $(clang++ --version | head -n 1)"
