#!/bin/sh
# The real runtime (the file "real" names it); of every exec the process document is kept, as "process".
here=$(dirname "$0")
file=
for word in "$@"; do
  [ "$file" != next ] || file=$word
  [ "$word" != --process ] || file=next
done
[ -z "$file" ] || cp "$file" "$here/process"
exec "$(cat "$here/real")" "$@"
