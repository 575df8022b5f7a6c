# shellcheck shell=bash disable=SC2034
# What the scripts of this folder have in common: a private containerd, and checks that are counted.

CHECKED=0 BROKEN=0

# check SENTENCE CMD...: the sentence is what must be true. What CMD prints says why it is not. HELD
# is empty afterwards if it is not: for whoever would check nothing in what follows.
check() {
  local sentence=$1
  shift
  CHECKED=$((CHECKED + 1))
  # Not in a subshell: what it starts, and the variables it sets, are the script's.
  if "$@" >"$RUN_DIR/check.out" 2>&1; then
    HELD=yes
    say "ok      $sentence"
    return
  fi
  HELD=
  BROKEN=$((BROKEN + 1))
  say "FAILED  $sentence"
  head -n 25 "$RUN_DIR/check.out" | sed 's/^/            /'
}

# nothing CMD...: true if it prints nothing; otherwise shows it.
nothing() {
  local output
  output=$("$@") || true
  [[ -z $output ]] || { printf '%s\n' "$output"; return 1; }
}

# same FILE FILE: shows the difference.
same() { diff "$1" "$2"; }

# equals EXPECTED SEEN
equals() { [[ $1 == "$2" ]] || { printf 'expected: %s\nseen:     %s\n' "$1" "$2"; return 1; }; }

# contains FILE REGEX: shows the end of the file if not.
contains() { grep -qE -- "$2" "$1" || { echo "no line like: $2"; tail -n 12 "$1"; return 1; }; }

# begin_e2e: RUN_DIR with a private containerd; its folder w is a tmpfs, which can be an overlay's
# upper layer on every machine.
begin_e2e() {
  need_root "$@"
  fetch_tools
  local program folder
  for program in containerd-shim-moat-v2 moatctl victims/model_server; do
    [[ -x $MOAT_BIN/$program ]] || die "$MOAT_BIN/$program is not built; run tests/run.sh --build-only" 2
  done
  folder=$(mktemp -d /tmp/moat.XXXXXX)
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  RUN_DIR=$folder  # for the trap, should the next line fail
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  mkdir "$folder/w"
  mount -t tmpfs -o mode=755 moat-e2e "$folder/w"
  start_containerd "$folder"
}

end_e2e() {
  # For whoever looks for the cause: what the run leaves is copied there first.
  ((BROKEN == 0)) || [[ -z ${MOAT_KEEP:-} || -z $RUN_DIR ]] || cp -rxT "$RUN_DIR" "$MOAT_KEEP" || true
  end_world
  stop_containerd
}

# The verdict of a script.
conclude() {
  end_e2e
  say "$((CHECKED - BROKEN)) of $CHECKED checks hold"
  ((BROKEN == 0)) || die "$BROKEN checks failed"
}

# The processes of moat in this run, and of one container of it. A shim carries containerd's
# namespace, which no other run has, and its container in its arguments.
shim_of() { pids_with -namespace "$CTR_NAMESPACE" -id "$1"; }

# pids_with WORD...: which processes of ours have these words next to each other in their command line.
pids_with() { pgrep -f -- "containerd-shim-moat-v2 (.* )?$*( |\$)" || true; }

supervisor_of() {
  local shim
  for shim in $(shim_of "$1"); do pgrep -P "$shim" -f 'containerd-shim-moat-v2 supervisor' || true; done
}

keeper_of() {
  local shim
  for shim in $(shim_of "$1"); do pgrep -P "$shim" -f 'containerd-shim-moat-v2 keeper' || true; done
}
