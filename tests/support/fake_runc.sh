#!/bin/sh
# A runtime for tests: "containers" are plain processes. What it does wrong is told by files in the
# folder this script is in: fail-create, exit-before-start (a code), exec-script, slow-exec (seconds).
here=$(dirname "$0")
log=
while [ $# -gt 0 ]; do
  case $1 in
    --log) log=$2; shift 2 ;;
    --root | --log-format) shift 2 ;;
    --systemd-cgroup) shift ;;
    *) break ;;
  esac
done
command=$1
shift
echo "$command" >>"$here/calls"
pid_file=
while [ $# -gt 1 ]; do
  [ "$1" != --pid-file ] || pid_file=$2
  shift
done
fail() {
  printf '{"level":"error","msg":"%s","time":"now"}\n' "$1" >>"$log"
  exit 1
}
# A shell gives its background jobs no input and waits for them: the containers get the one, and
# outlive a shell of their own, so that they are orphans at once as the real ones are.
exec 3<&0
case $command in
  create)
    [ ! -e "$here/fail-create" ] || fail "it was not to be"
    # Waits to be started, like the real one.
    (
      sh -c "while [ ! -e '$here/started' ]; do sleep 0.02; done; exec sh '$here/init-script'" <&3 &
      echo $! >"$pid_file"
    )
    ;;
  start)
    if [ -e "$here/exit-before-start" ]; then kill -9 "$(cat "$here/bundle/init.pid")"; fi
    : >"$here/started"
    ;;
  exec)
    [ -e "$here/exec-script" ] || fail "exec failed: no such program"
    (
      sh "$here/exec-script" <&3 &
      echo $! >"$pid_file"
    )
    [ ! -e "$here/slow-exec" ] || sleep "$(cat "$here/slow-exec")"
    ;;
esac
