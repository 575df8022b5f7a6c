#!/usr/bin/env bash
# From every process's end to its one exit event: after its start, before its container's, exactly
# once, whoever ends when and however many at once.
# shellcheck disable=SC2009,SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,leftovers,daemon,order}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# process NAME WORD...: an exec's document, in RUN_DIR/NAME.json.
process() {
  printf '%s\n' "${@:2}" |
    jq -Rn '{cwd: "/", env: ["PATH=/bin"], user: {uid: 0, gid: 0}, args: [inputs]}' >"$RUN_DIR/$1.json"
}

processes() {
  process sleep /bin/sleep 1000
  process true /bin/true
  process seven /bin/sh -c 'exit 7'
  process orphan /bin/sh -c '/bin/sleep 1000 & exit 3'
  process many /bin/sh -c 'i=0; while [ $i -lt 500 ]; do /bin/sleep 1000 & i=$((i+1)); done; exit 0'
}

SHARED='.linux.namespaces |= map(select(.type != "pid"))'
LOOP='trap "exit 5" TERM; while :; do sleep 0.1; done'

# up ID [JQ-FILTER]: a container that runs in a shim of its own.
up() {
  new_bundle "$1" "${2:-.}"
  start_by_hand "$1" || return 1
  play <<END >"$RUN_DIR/up"
create | Create id=$1 bundle=$RUN_DIR/b/$1
start | Start id=$1
END
  equals 2 "$(grep -c ' | OK | ' "$RUN_DIR/up")" || { cat "$RUN_DIR/up"; return 1; }
}

# down ID: whatever it is doing.
down() {
  play <<END >/dev/null
- | Kill id=$1 signal=9 all=1
- | Wait id=$1
- | Delete id=$1
- | Shutdown id=$1
END
  wait_until 5 no_shim_at "$1" && delete_by_hand "$1" >/dev/null 2>&1 && rm -rf "$RUN_DIR/b/$1"
}
no_shim_at() { [[ -z $(shim_at "$1") ]]; }

# answers LABEL: how many calls were answered what.
answers() { awk -F ' [|] ' '{print $1, $2}' | sort | uniq -c | awk '{print $2 "=" $3 "*" $1}' | paste -sd' '; }

# execs N NAME METHODS...: a script's lines for N execs, each method for all of them before the next.
execs() {
  local n=$1 name=$2 method i
  for method in "${@:3}"; do
    for ((i = 0; i < n; i++)); do
      case $method in
        Exec) echo "$method | Exec id=$ID exec=$name$i spec=@$RUN_DIR/$name.json" ;;
        *) echo "& $method | $method id=$ID exec=$name$i signal=9" ;;
      esac
    done
  done
}

# threads of a process are no children; zombies are what it should have reaped.
zombies() { ps -o stat=,pid=,args= --ppid "$(shim_at "$1")" | grep '^Z' || true; }
no_zombies() { [[ -z $(zombies "$1") ]]; }

# Whether anybody watches what follows.
supervised() {
  up watched
  check "$MODE: the supervisors are as many as the mode wants" equals "$([[ $MODE == off ]] && echo 0 || echo 1)" \
    "$(pgrep -c -P "$(shim_at watched)" -f 'containerd-shim-moat-v2 supervisor' || true)"
  down watched
}

ends_at_once() {
  local i
  ID=quick
  up $ID
  check "$MODE: sixty execs that end at once: each is answered, each has its code" equals \
    "Delete=OK*60 Exec=OK*60 Start=OK*60 Wait=OK*60" "$({ execs 60 seven Exec Start Wait; echo join; execs 60 seven Delete; } | play | answers)"
  wait_until 5 told 60 '^seven[0-9]* 7$' || true
  check "$MODE: each exit is told once, with 7" equals 60 "$(exits $ID | grep -c '^seven[0-9]* 7$')"
  down $ID
  check "$MODE: a quick exec and its container: everything in order" in_order
  for i in {1..8}; do
    new_bundle "blink$i" '.process.args = ["/bin/true"] | .annotations["io.containerd.runc.v2.group"] = "blinks"'
  done
  start_by_hand blink1
  for i in {1..8}; do echo "& c | Create id=blink$i bundle=$RUN_DIR/b/blink$i"; done | play >/dev/null
  check "$MODE: eight containers that end at once, started together: all answered" equals "Start=OK*8 Wait=OK*8" \
    "$(for i in {1..8}; do printf '& Start | Start id=blink%s\n& Wait | Wait id=blink%s\n' "$i" "$i"; done | play | answers)"
  check "$MODE: and deleted together" equals "Delete=OK*8" \
    "$(for i in {1..8}; do echo "& Delete | Delete id=blink$i"; done | play | answers)"
  echo "- | Shutdown id=blink1" | play
  check "$MODE: their events are in order" in_order
}

# told COUNT REGEX: an answer does not wait for the event of what it tells.
told() { (($(exits "$ID" | grep -c "$2") >= $1)); }
init_told() { wait_until 5 told 1 "^$ID " || true; }

# A hundred execs start, run or end while init is killed.
storm() {
  ID=storm
  up $ID
  {
    execs 50 sleep Exec
    execs 50 true Exec
    execs 50 sleep Start Wait
    execs 50 true Start Wait
    echo "sleep 0.4"
    echo "& Kill | Kill id=$ID signal=9"
    echo "& Init | Wait id=$ID"
  } | play >"$RUN_DIR/storm" 2>&1
  check "$MODE: an exec storm while init dies: all 302 calls are answered" equals 302 "$(grep -cE ' \| (OK|[A-Z][A-Za-z]+) \| ' "$RUN_DIR/storm")"
  check "$MODE: init's exit among them" contains "$RUN_DIR/storm" '^Init \| OK \| .* exit=137 '
  check "$MODE: who was started has ended" wait_until 5 in_order
  check "$MODE: init's exit is the last" equals "$ID 137" "$(exits $ID | tail -n 1)"
  check "$MODE: nothing runs in its cgroup" wait_until 5 empty_cgroup $ID
  check "$MODE: an exec that was not started is refused now" contains \
    <(grep -E '^Start' "$RUN_DIR/storm"; echo "Start | Start id=$ID exec=late" | play) '^Start \| (FailedPrecondition|Unknown|NotFound)'
  check "$MODE: no child is unreaped" wait_until 5 no_zombies $ID
  down $ID
}

empty_cgroup() { ! find /sys/fs/cgroup -path "*/$CTR_NAMESPACE/$1/*" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -q .; }

# Starts of one exec side by side: runc's shim counts it twice and dies of it at init's exit.
started_twice() {
  ID=twice
  up $ID
  {
    execs 1 sleep Exec
    for _ in {1..6}; do execs 1 sleep Start; done
    echo join
    echo "Again | Start id=$ID exec=sleep0"
  } | play >"$RUN_DIR/twice"
  check "$MODE: of six starts of an exec one succeeds" equals 1 "$(grep -c '^Start | OK' "$RUN_DIR/twice")"
  check "$MODE: the others say why" equals 6 "$(grep -cE "^(Start|Again) \| Unknown \| 'cannot start a running process'" "$RUN_DIR/twice")"
  execs 1 sleep Kill Wait Delete | play >/dev/null
  down $ID
  check "$MODE: the exec's exit is told once, then init's" equals "sleep0 137,$ID 137" "$(exits $ID | paste -sd,)"
}

# In enforce no container is among the node's processes: audit stands in.
as_shared() { [[ $MODE == off ]] || MODE=audit; }

# Without a pid namespace of its own nobody but the shim ends the rest.
nodes_pids() {
  local pids MODE=$MODE
  as_shared
  ID=shared
  up $ID "$SHARED | .process.args = [\"/bin/sh\", \"-c\", \"/bin/sleep 1000 & /bin/sleep 1000 & exec /bin/sleep 1000\"]"
  execs 5 sleep Exec Start | play >/dev/null
  echo "o | Exec id=$ID exec=orphan spec=@$RUN_DIR/orphan.json
s | Start id=$ID exec=orphan
w | Wait id=$ID exec=orphan" | play >/dev/null
  pids=$(echo "p | Pids id=$ID" | play | grep -oE 'pid=[0-9]+' | cut -d= -f2)
  check "$MODE: shared pids: nine processes run" equals 9 "$(wc -w <<<"$pids")"
  printf -- '- | Kill id=%s signal=9\n- | Wait id=%s\n' $ID $ID | play
  check "$MODE: the end of init ends them all" wait_until 5 all_dead "$pids"
  init_told
  check "$MODE: every exec's exit is told before init's" equals "5 $ID 137" \
    "$(exits $ID | grep -c '^sleep[0-9] 137$') $(exits $ID | tail -n 1)"
  check "$MODE: no child is unreaped" wait_until 5 no_zombies $ID
  down $ID
}

shared_pids() {
  local pids other
  up host
  other=$(cat "$RUN_DIR/b/host/init.pid")
  ID=guest
  up $ID ".linux.namespaces |= map(if .type == \"pid\" then .path = \"/proc/$other/ns/pid\" else . end)
    | .process.args = [\"/bin/sh\", \"-c\", \"/bin/sleep 1000 & exec /bin/sleep 1000\"]"
  pids=$(echo "p | Pids id=$ID" | play | grep -oE 'pid=[0-9]+' | cut -d= -f2)
  printf -- '- | Kill id=%s signal=9\n- | Wait id=%s\n' $ID $ID | play
  check "$MODE: a pid namespace that is another container's: the end of init ends the rest" wait_until 5 all_dead "$pids"
  check "$MODE: and nobody of the other container" kill -0 "$other"
  down $ID
  SOCKET=$(sed 's|^unix://||' "$RUN_DIR/b/host/address")
  down host
}

all_dead() {
  local pid
  for pid in $1; do dead "$pid" || return 1; done
}

orphans() {
  local pid
  ID=orphans
  up $ID
  echo "o | Exec id=$ID exec=orphan spec=@$RUN_DIR/orphan.json
s | Start id=$ID exec=orphan
Wait | Wait id=$ID exec=orphan
d | Delete id=$ID exec=orphan" | play >"$RUN_DIR/orphans"
  check "$MODE: an exec that leaves a child behind ends when it ends" contains "$RUN_DIR/orphans" '^Wait \| OK \| .* exit=3 '
  pid=$(pgrep -f '^/bin/sleep 1000$' --ns "$(cat "$RUN_DIR/b/$ID/init.pid")" --nslist pid | tail -n 1)
  check "$MODE: its child lives on" kill -0 "$pid"
  down $ID
  check "$MODE: and ends with the container" wait_until 5 dead "$pid"
}

# Five hundred orphans of ours and forty execs end in one moment.
crowd() {
  local before MODE=$MODE
  as_shared
  ID=crowd
  up $ID "$SHARED"
  {
    echo "m | Exec id=$ID exec=many spec=@$RUN_DIR/many.json"
    echo "m | Start id=$ID exec=many"
    echo "m | Wait id=$ID exec=many"
    execs 40 sleep Exec Start
  } | play >"$RUN_DIR/crowd"
  check "$MODE: forty execs start beside five hundred processes" nothing grep -v ' | OK | ' "$RUN_DIR/crowd"
  check "$MODE: 541 processes run" equals 541 "$(echo "p | Pids id=$ID" | play | grep -oE 'pid=[0-9]+' | wc -l)"
  { execs 40 sleep Wait; echo "& Init | Wait id=$ID"; echo "- | Kill id=$ID signal=9 all=1"; } | play >"$RUN_DIR/crowd"
  check "$MODE: they end at once: every wait is answered" equals 41 "$(grep -c ' | OK | .* exit=137 ' "$RUN_DIR/crowd")"
  init_told
  check "$MODE: no exit is lost" equals "many 0,40,$ID 137" \
    "$(exits $ID | head -n 1),$(exits $ID | grep -c '^sleep[0-9]* 137$'),$(exits $ID | tail -n 1)"
  check "$MODE: no child is unreaped" wait_until 5 no_zombies $ID
  down $ID
}

kills() {
  ID=kills
  up $ID ".process.args = [\"/bin/sh\", \"-c\", $(jq -n --arg l "$LOOP" '$l')]"
  execs 2 sleep Exec Start | play >/dev/null
  check "$MODE: Wait keeps the client's deadline" contains \
    <(echo "Wait | Wait id=$ID timeout=200" | play) "^Wait \| DeadlineExceeded \| 'context deadline exceeded'"
  printf -- '- | Kill id=%s exec=sleep0 signal=15 all=1\n- | Wait id=%s exec=sleep0\n' $ID $ID | play
  check "$MODE: all=true of an exec's Kill ends that exec alone" equals "2" \
    "$(echo "s | State id=$ID exec=sleep1" | play | grep -oE 'status=[0-9]' | cut -d= -f2)"
  printf -- '- | Kill id=%s signal=15\n- | Wait id=%s\n' $ID $ID | play
  init_told
  check "$MODE: a signal reaches init, and its code is told" equals "$ID 5" "$(exits $ID | tail -n 1)"
  check "$MODE: of the execs that died with it, too" equals "sleep0 143,sleep1 137,$ID 5" "$(exits $ID | paste -sd,)"
  down $ID
  ID=frozen
  up $ID
  echo "- | Pause id=$ID" | play
  check "$MODE: SIGKILL ends a paused container" contains \
    <(printf 'Kill | Kill id=%s signal=9\nWait | Wait id=%s patience=5000\n' $ID $ID | play) '^Wait \| OK \| .* exit=137'
  down $ID
  new_bundle unborn
  start_by_hand unborn
  check "$MODE: a container that was never started is deleted: first its exit is told" equals "create exit delete" "$(
    printf -- '- | Create id=unborn bundle=%s\n- | Delete id=unborn\n- | Shutdown id=unborn\n' "$RUN_DIR/b/unborn" | play
    wait_until 5 no_shim_at unborn
    sed -nE 's|^/tasks/([a-z]+) container=unborn .*|\1|p' "$RUN_DIR/events" | paste -sd' '
  )"
}

begin_by_hand "$@"
processes
for MODE in off enforce; do
  : >"$RUN_DIR/events"
  supervised
  ends_at_once
  storm
  started_twice
  nodes_pids
  shared_pids
  orphans
  crowd
  kills
  check "$MODE: all events are in order" in_order
  check "$MODE: nothing is left" leaves_nothing
done
conclude
