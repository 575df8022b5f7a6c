#!/usr/bin/env bash
# Arguments in pages that do not come: of a file of a volume that a broken server serves. They cost
# who waits for them, and nobody else; and the supervisor can be replaced meanwhile.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,leftovers,flood} attack/lib/stress; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# serve_stalled ID: SERVED with a file whose pages do not come; STALLER serves it.
serve_stalled() {
  SERVED=$RUN_DIR/w/$1.served
  mkdir -p "$SERVED"
  "$MOAT_BIN/tools/stall_fs" "$SERVED" &
  STALLER=$!
  wait_until 5 test -e "$SERVED/pages"
}
stop_serving() {
  umount --lazy "$SERVED"
  kill -KILL "$STALLER" 2>/dev/null || true
  wait "$STALLER" 2>/dev/null || true
}

unreadable() { events "$1" 'select(.kind == "health") | .counts.unreadable // 0' | awk '{n += $1} END {print n + 0}'; }
unreadable_are() { (($(unreadable "$1") >= $2)); }

# stalled ID COUNT: so many of its threads stall.
stalled() {
  check "$1: there are pages that do not come" serve_stalled "$1"
  stressed "$1" --mount "type=bind,src=$SERVED,dst=/served,options=rbind" -- mixed --stall /served/pages "$2"
  check "$1: the server works" working "$1" '^working'
}

few() {
  stalled few 4
  check "few: arguments that do not come are told of" wait_until 5 unreadable_are few 4
  check "few: it tells" asked few
  check "few: each of the stalled is refused" equals "4 4 0" "$(fared few stalled calls) $(fared few stalled failed) $(fared few stalled succeeded)"
  check "few: they are refused at the deadline" test "$(fared few stalled longest_ms)" -le 1500
  check "few: nobody else is" equals 0 "$(fared few honest failed)"
  check "few: nobody else waits for them" test "$(fared few honest longest_ms)" -le 250
  say "        the longest wait of others: $(fared few honest longest_ms) ms"
  check "few: the supervisor that holds them is replaced" kill_supervisor few
  check "few: it tells, again" asked few
  check "few: what was honest waited for the restart alone" test "$(longest few)" -le 300
  say "        the longest wait of others at its restart: $(longest few) ms"
  stop_container few "$CTR_PID"
  nothing_got_through few
  stop_serving
}

# More than there are readers: then nothing can be read, and what would have to be is refused.
all() {
  stalled all 24
  check "all: arguments that do not come are told of" wait_until 5 unreadable_are all 24
  check "all: it tells" asked all
  check "all: each of the stalled is refused" equals "24 0" "$(fared all stalled failed) $(fared all stalled succeeded)"
  sleep 0.3
  check "all: it tells while nothing can be read" asked all
  check "all: what cannot be read is refused at once" equals "0 EFAULT" "$(fared all honest succeeded) $(fared all honest errors)"
  check "all: nobody waits" test "$(fared all honest longest_ms)" -le 250
  check "all: what is refused for it is counted, not told one by one" test "$(events all 'select(.kind == "health") | .message' | grep -c 'could not be read')" -le 10
  kill -USR1 "$STALLER"
  sleep 0.5
  check "all: the pages come" asked all
  sleep 0.5
  check "all: it tells, again" asked all
  check "all: what is honest succeeds again" equals 0 "$(fared all honest failed)"
  check "all: and is asked for" test "$(fared all honest succeeded)" -gt 0
  stop_container all "$CTR_PID"
  nothing_got_through all
  stop_serving
}

begin_e2e "$@"
[[ -c /dev/fuse ]] || { end_e2e; echo "this machine has no FUSE"; exit 77; }
few
all
conclude
