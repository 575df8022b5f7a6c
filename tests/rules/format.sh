#!/usr/bin/env bash
# Every C and C++ file is as clang-format leaves it. Needs MOAT_SOURCE.
set -euo pipefail
cd "${MOAT_SOURCE:?}"
if ! command -v clang-format >/dev/null; then
  echo "skipped: clang-format is not installed"
  exit 77
fi
mapfile -t files < <(find policies oci hooks shim tests -type f \( -name '*.cc' -o -name '*.c' -o -name '*.h' \) | sort)
((${#files[@]} > 0)) || { echo "no files below $MOAT_SOURCE: nothing was checked"; exit 1; }
clang-format --dry-run -Werror "${files[@]}" ||
  { echo "run: clang-format -i on the files above"; exit 1; }
echo "${#files[@]} files are formatted"
