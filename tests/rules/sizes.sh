#!/usr/bin/env bash
# Files stay readable: none over 500 lines; what is over 300 is named, for whoever comes next.
# Needs MOAT_SOURCE.
set -euo pipefail
cd "${MOAT_SOURCE:?}"
bad=0 seen=0
while read -r lines file; do
  seen=$((seen + 1))
  if ((lines > 500)); then
    echo "$file: $lines lines, more than 500: split it"
    bad=$((bad + 1))
  elif ((lines > 300)); then
    echo "notice: $file: $lines lines; think of splitting it before it grows"
  fi
done < <(find policies oci hooks shim charts tests -type f \
  \( -name '*.cc' -o -name '*.c' -o -name '*.h' -o -name '*.proto' -o -name '*.sh' -o -name '*.py' \) \
  -exec wc -l {} + | grep -v ' total$')
((seen > 0)) || { echo "no files below $MOAT_SOURCE: nothing was checked"; exit 1; }
((bad == 0)) || exit 1
echo "$seen files, none over 500 lines"
