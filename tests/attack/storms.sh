#!/usr/bin/env bash
# Signals, freezes, crowds of processes and of descriptors: no wrong outcome, and nothing they do is
# somebody else's loss.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood} attack/lib/stress; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

SECONDS_EACH=${MOAT_STORM:-2}

notified() { "$MOAT_BIN/moatctl" ps -o json | jq -r --arg id "$1" '.. | objects | select(.id? == $id) | .notifications' | head -n 1; }
resident() { awk '/^Rss/ {n += $2} END {print n}' "/proc/$1/smaps_rollup"; }

# urgent HOW: as Go's runtime does it, every 100 µs; the calls are asked about again and again.
urgent() {
  local id=urg-$1 asked_for
  stressed "$id" -- mixed --urg "$1"
  check "$id: the server works" working "$id" '^working'
  sleep "$SECONDS_EACH"
  asked_for=$(notified "$id")
  stop_container "$id" "$CTR_PID"
  nothing_got_through "$id"
  check "$id: honest calls succeed" test "$(fared "$id" honest succeeded)" -gt 50
  check "$id: none fails" equals "0 -" "$(fared "$id" honest failed) $(fared "$id" honest errors)"
  check "$id: attempts fail as they always do" equals "EPERM,EACCES" "$(fared "$id" attempts errors)"
  say "        $id: $(fared "$id" honest succeeded) honest calls, $(fared "$id" honest interrupted) interrupted; $asked_for notifications"
}

# Stopped for longer than Go lets a thread run: then its runtime sends signals to whoever waits.
slowed_down() {
  while pid=$(supervisor_of "$1") && [[ $pid ]]; do
    kill -STOP "$pid" && sleep 0.02 && kill -CONT "$pid"
    sleep 0.02
  done
}

# A Go program that does what it always did: runc writes a configuration, as often as it is asked to.
go_program() {
  local made slower
  make_root go
  install -D "$MOAT_TOOLS/usr/sbin/runc" "$ROOT/rootfs/bin/runc"
  local file
  for file in /bin/sh /bin/mkdir $(ldd /bin/sh /bin/mkdir "$MOAT_TOOLS/usr/sbin/runc" | grep -o '/[^ ]*' | grep -v ':$'); do
    install -D -m 755 "$(realpath "$file")" "$ROOT/rootfs$file"
  done
  # shellcheck disable=SC2016  # the container's shell expands it
  run_container go "$ROOT/rootfs" --runtime "$MOAT" --annotation moat.dev/mode=enforce \
    --annotation moat.dev/profile=builtin/python --annotation moat.dev/model-paths=/models \
    --mount "type=bind,src=$ROOT/models,dst=/models,options=rbind:ro" -- /bin/sh -c \
    'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do mkdir /tmp/$i && runc --root /tmp/root spec --bundle /tmp/$i || echo failed $i; done; echo done'
  wait_until 5 test -s "$RUN_DIR/go.pid" || true
  slowed_down go 2>/dev/null &
  slower=$!
  check "go: the program ends" wait_for go '^done'
  check "go: none of its calls failed" nothing grep failed "$RUN_DIR/go.out"
  made=$(find "$ROOT/rootfs/tmp" -name config.json -size +1k | wc -l)
  check "go: it made what it was asked for" equals 15 "$made"
  stop_container go "$CTR_PID"
  wait "$slower" || true
}

# frozen: with questions and opens in flight; and with a supervisor that does not answer meanwhile.
frozen() {
  local i supervisor
  stressed frozen -- mixed --pace 100
  check "frozen: the server works" working frozen '^working'
  for i in 1 2 3 4 5; do
    check "freeze $i: the container is paused" ctr_ task pause frozen
    check "freeze $i: all of it" frozen_now
    ctr_ task resume frozen
    sleep 0.1
  done
  supervisor=$(supervisor_of frozen)
  kill -STOP "$supervisor"
  (sleep 0.5; kill -CONT "$supervisor") &
  check "a freeze waits for the answers to who asks" ctr_ task pause frozen
  wait $! || true
  check "and then it is frozen" frozen_now
  ctr_ task resume frozen
  check "it tells" asked frozen
  sleep 0.3
  check "it goes on" asked frozen
  check "frozen: and is answered" test "$(fared frozen honest succeeded)" -gt 0
  check "frozen: honest calls never failed" nothing grep -E '^honest .* failed=[1-9]' "$RUN_DIR/frozen.out"
  stop_container frozen "$CTR_PID"
  nothing_got_through frozen
}
frozen_now() { ctr_ task ls | grep -E '^frozen ' | grep -q PAUSED; }

# crowded KIND WORD...: beside it in the same pod, under the same shim and supervisor, is another
# container, which must not feel more than a busy machine.
crowded() {
  local id=$1 shim supervisor before after client pids
  shift
  stressed "$id-pod" --annotation "io.kubernetes.cri.sandbox-id=$id-pod" -- mixed --pace 5000
  client=$CTR_PID
  check "$id: its neighbour works" working "$id-pod" '^working'
  shim=$(shim_of "$id-pod")
  supervisor=$(supervisor_of "$id-pod")
  stressed "$id" --annotation "io.kubernetes.cri.sandbox-id=$id-pod" -- "$@"
  check "$id: it loads" wait_for_phase "$id" load
  pids=$(cgroup_of "$id" pids)
  [[ $id != bomb ]] || echo 150 >"$pids/pids.max"
  sleep 1
  before=$(resident "$supervisor")
  check "$id: its neighbour tells" asked "$id-pod"
  sleep "$SECONDS_EACH"
  check "$id: its neighbour tells, again" asked "$id-pod"
  after=$(resident "$supervisor")
  check "$id: shim and supervisor are those they were" equals "$shim $supervisor" "$(shim_of "$id-pod") $(supervisor_of "$id-pod")"
  check "$id: its neighbour is answered" test "$(fared "$id-pod" honest succeeded)" -gt 0
  # A thousand threads are more than one supervisor reads for in time: then who waits is refused.
  [[ $id == descriptors ]] || check "$id: and not refused" equals 0 "$(fared "$id-pod" honest failed)"
  say "        $id: $(fared "$id-pod" honest succeeded) honest calls of its neighbour, $(fared "$id-pod" honest failed) refused, $(fared "$id-pod" honest longest_ms) ms the longest; supervisor $before kB, then $after kB"
  check "$id: its neighbour is answered in time" test "$(fared "$id-pod" honest longest_ms)" -le 1000
  check "$id: the supervisor does not grow with it" test $((after - before)) -le 2048
  check "$id: reports that were not written are counted" wait_until 3 test "$(dropped "$id")" -gt 0
  check "$id: it can be killed, and is gone within 5 s" killed_in_time "$id"
  check "$id: not one effect" nothing changed "$id"
  stop_container "$id-pod" "$client"
  nothing_got_through "$id-pod"
}
dropped() { events "$1" 'select(.kind == "drop") | .counts.suppressed // 0' | awk '{n += $1} END {print n + 0}'; }
killed_in_time() {
  ctr_ task kill --signal SIGKILL --all "$1"
  wait_until 5 gone "$CTR_PID"
}

begin_e2e "$@"
urgent restart
urgent plain
go_program
frozen
crowded bomb bomb
crowded descriptors descriptors 1000
check "nothing is left of them" leaves_nothing_of_moat
conclude
