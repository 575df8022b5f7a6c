#!/usr/bin/env bash
# Execs by the hundred: each has a listener of its own, is told apart, and takes nothing of shim and
# supervisor with it; who outlives its session is answered still. MOAT_EXECS: how many, serial and
# side by side.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood} attack/lib/stress; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

EXECS=${MOAT_EXECS:-504}
SIDE_BY_SIDE=8

descriptors() { find "/proc/$1/fd" -mindepth 1 -maxdepth 1 | wc -l; }
# Its own, in kB: what is mapped of its program comes and goes.
own_memory() { awk '/^Private_Dirty/ {n += $2} END {print n}' "/proc/$1/smaps_rollup"; }

# execs ID FROM TO: one after the other.
execs() {
  local i
  for ((i = $2; i <= $3; i++)); do
    ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id "$1-e$i" "$1" /bin/stress scratch "$1-e$i" >/dev/null ||
      echo "exec $i failed"
  done
}
# execs_side_by_side ID FROM COUNT
execs_side_by_side() {
  local k share=$(($3 / SIDE_BY_SIDE)) jobs=()
  for ((k = 0; k < SIDE_BY_SIDE; k++)); do
    execs "$1" $(($2 + k * share)) $(($2 + (k + 1) * share - 1)) &
    jobs+=("$!")
  done
  wait "${jobs[@]}"
}

sessions_are() { [[ $(count_kind "$1" session) == "$2" ]]; }
# unnamed ID FROM TO: which of these execs no event names.
unnamed() { comm -13 <(events "$1" 'select(.kind == "session") | .exec_id' | sort -u) <(for ((i = $2; i <= $3; i++)); do echo "$1-e$i"; done | sort); }
settled() { [[ "$(descriptors "$1") $(descriptors "$2") $(descriptors "$3")" == "$4" ]]; }

many() {
  local shim supervisor keeper before memory grown
  stressed many -- idle
  check "the container is in load" wait_for_phase many load
  shim=$(shim_of many)
  supervisor=$(supervisor_of many)
  keeper=$(keeper_of many)
  check "a few execs, for what is made once" nothing execs many 1 8
  sleep 1.5
  before="$(descriptors "$shim") $(descriptors "$supervisor") $(descriptors "$keeper")"
  memory=$(($(own_memory "$shim") + $(own_memory "$supervisor") + $(own_memory "$keeper")))
  check "$EXECS execs, one after the other, succeed" nothing execs many 9 $((EXECS + 8))
  check "$EXECS execs, $SIDE_BY_SIDE at a time, succeed" nothing execs_side_by_side many $((EXECS + 9)) "$EXECS"
  check "each of them is an event" wait_until 5 sessions_are many $((2 * EXECS + 8))
  check "by its name" nothing unnamed many 1 $((2 * EXECS + 8))
  check "no descriptor of shim, supervisor or keeper stays" wait_until 5 settled "$shim" "$supervisor" "$keeper" "$before"
  say "        descriptors before: $before; after: $(descriptors "$shim") $(descriptors "$supervisor") $(descriptors "$keeper")"
  sleep 1.5
  grown=$(($(own_memory "$shim") + $(own_memory "$supervisor") + $(own_memory "$keeper") - memory))
  say "        own memory of the three: $memory kB, then $grown kB more"
  check "and hardly any memory" test "$grown" -le 512
  end_stress many "$CTR_PID"
}

# outlived POLICY RESULT: a process whose session's first process is gone asks, and is answered.
outlived() {
  local id=outlived-$1 tmp
  PROFILE=${3:-builtin/python} stressed "$id" --annotation "moat.dev/sessions=$1" -- idle
  tmp=$ROOT/rootfs/tmp
  check "$id: the container is in load" wait_for_phase "$id" load
  check "$id: a session starts, and leaves a process behind" ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id o1 "$id" /bin/stress orphan
  check "$id: what it leaves is answered" wait_until 5 test -e "$tmp/orphan.answered"
  end_stress "$id" "$CTR_PID"
}

# Denied ones do not begin, and whoever asks is told why.
denied() {
  stressed denied --annotation moat.dev/sessions=deny -- idle
  check "denied: the container is in load" wait_for_phase denied load
  ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id d1 denied /bin/stress effect session >"$RUN_DIR/denied.session" 2>&1 &&
    echo succeeded >>"$RUN_DIR/denied.session"
  say "        $(head -c 300 "$RUN_DIR/denied.session")"
  check "denied: an exec fails, and says why" contains "$RUN_DIR/denied.session" 'ermission denied'
  check "denied: it has no effect" nothing changed denied
  check "denied: an event names it" equals "d1 denied" "$(events denied 'select(.kind == "session") | "\(.exec_id) \(.action)"')"
  end_stress denied "$CTR_PID"
}

# Audited ones go on, and are reported where the container's own processes are refused.
audited() {
  stressed audited --annotation moat.dev/sessions=audit -- idle
  check "audited: the container is in load" wait_for_phase audited load
  check "audited: a session starts" ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id a1 audited /bin/stress attempts
  check "audited: what it does is reported, by its name" wait_until 5 audited_tells
  end_stress audited "$CTR_PID"
}
audited_tells() { [[ $(events audited 'select(.kind == "would_deny") | .exec_id' | sort -u) == a1 ]]; }

begin_e2e "$@"
many
outlived allow
outlived audit
denied
audited
check "nothing is left of them" leaves_nothing_of_moat
conclude
