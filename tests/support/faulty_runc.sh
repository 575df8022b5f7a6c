#!/bin/sh
# The real runtime (the file "real" names it), with faults told by files in the folder this script is
# in: hang-COMMAND, flood-COMMAND (a megabyte of errors, then a failure), fail-COMMAND. What was
# asked is in "calls".
here=$(dirname "$0")
for command in "$@"; do
  case $command in
    create | start | exec | kill | delete | pause | resume | update | ps | state | features | checkpoint) break ;;
  esac
done
echo "$command" >>"$here/calls"
[ ! -e "$here/hang-$command" ] || exec sleep 1000
if [ -e "$here/flood-$command" ]; then
  head -c 1048576 /dev/zero | tr '\0' 'e' >&2
  exit 1
fi
[ ! -e "$here/fail-$command" ] || exit 1
exec "$(cat "$here/real")" "$@"
