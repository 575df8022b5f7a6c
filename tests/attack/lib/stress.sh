# shellcheck shell=bash disable=SC2034
# Containers of the program stress, which makes honest calls and attempts while something is wrong
# with who answers them; and how both fared.

STRESS=$MOAT_BIN/victims/stress

# make_root ID: ROOT with what the attempts would change or read.
make_root() {
  ROOT=$RUN_DIR/w/$1
  mkdir -p "$ROOT"/{rootfs/{bin,dev,proc,sys,tmp,etc,models,data,root/.ssh},models}
  chmod 1777 "$ROOT/rootfs/tmp"
  cp "$STRESS" "$ROOT/rootfs/bin/stress"
  echo planted >"$ROOT/rootfs/data/planted"
  echo secret >"$ROOT/rootfs/root/.ssh/id_rsa"
  echo artifact >"$ROOT/models/model.bin"
}

# stressed ID [ctr option...] -- WORD...: of the program; CTR_PID is the client that runs it.
stressed() {
  local id=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  make_root "$id"
  run_container "$id" "$ROOT/rootfs" --runtime "$MOAT" --annotation moat.dev/mode=enforce \
    --annotation "moat.dev/profile=${PROFILE:-builtin/python}" --annotation moat.dev/model-paths=/models \
    --mount "type=bind,src=$ROOT/models,dst=/models,options=rbind:ro" "${options[@]}" -- /bin/stress "$@"
}

# end_stress ID CLIENT: what ignores every other signal.
end_stress() {
  ctr_ task kill --signal SIGKILL --all "$1" >/dev/null 2>&1 || true
  wait_until 8 gone "$2" || kill -KILL "$2" 2>/dev/null || true
  wait "$2" 2>/dev/null || true
}

# working ID REGEX: a line it says once it is at work.
working() { wait_for "$1" "$2" && wait_for_phase "$1" load; }

# changed ID: what an attempt would have made of its root.
changed() { (cd "$RUN_DIR/w/$1/rootfs/data" && find . -type f ! -name planted; [[ -e planted ]] || echo planted is gone); }

# fared ID WHO FIELD: of its last words.
fared() { sed -n "s/^$2 .*\\b$3=\\([^ ]*\\).*/\\1/p" "$RUN_DIR/$1.out" | tail -n 1; }

# asked ID: it tells how it fared since the last time.
asked() {
  local told
  told=$(grep -c '^stalled' "$RUN_DIR/$1.out" || true)
  ctr_ task kill --signal SIGUSR1 "$1" && wait_until 5 has_told "$1" "$told"
}
has_told() { (($(grep -c '^stalled' "$RUN_DIR/$1.out") > $2)); }

# longest ID: what an honest thread had to bear, milliseconds: a wait, or the time until errors end.
longest() { printf '%s\n' "$(fared "$1" honest longest_ms)" "$(fared "$1" honest outage_ms)" | sort -n | tail -n 1; }

# nothing_got_through ID
nothing_got_through() {
  check "$1: attempts were made" test "$(fared "$1" attempts calls)" -gt 0
  check "$1: not one attempt succeeded" equals 0 "$(fared "$1" attempts succeeded)"
  check "$1: not one effect" nothing changed "$1"
}


# cgroup_of ID CONTROLLER: its folder; "" is version 2.
cgroup_of() {
  local path mount
  path=$(awk -F: -v controller="$2" '$2 == controller {print $3}' "/proc/$(<"$RUN_DIR/$1.pid")/cgroup")
  while read -r mount; do
    [[ -d $mount$path && $path != / ]] || continue
    if [[ $2 == "" && -e $mount$path/cgroup.events ]] || [[ $2 != "" && $mount == */$2 ]]; then echo "$mount$path"; fi
  done < <(cgroup_mounts)
}

# child_supervisor SHIM: without a process of its own, as there is little time.
child_supervisor() {
  local pid name children=()
  CHILD=
  read -ra children <"/proc/$1/task/$1/children" || true
  for pid in "${children[@]}"; do
    if read -r name 2>/dev/null <"/proc/$pid/comm" && [[ $name == moat-supervisor ]]; then CHILD=$pid; fi
  done
}
child_supervisor_succeeds() { child_supervisor "$1" && [[ $CHILD && $CHILD != "$2" ]]; }
