#!/usr/bin/env bash
# The same calls to the stock shims of three containerds and to moat's, and the same answers: codes,
# texts, fields, states, and the events in the same order.
# shellcheck disable=SC2034,SC2153  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd,suites} e2e/lib/{checks,small_rootfs,daemon} conformance/lib/golden; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# NAME:TOOLS:VERSION of the Task service
STOCKS=(stock-1.6:bookworm:2 stock-1.7:trixie:2 stock-2.1:sid:3)

# supervised NAME: without the rows that are supervision's own, unless there is none.
supervised() { if [[ $1 == moat-off-* ]]; then cat; else without /dev/stdin "$SUPERVISED"; fi; }

# expectation STOCK: its rows, but those in which it is outdated are the newest one's.
expectation() {
  local rows=$RUN_DIR/$1.rows
  [[ $1 == stock-1.6 ]] || { cat "$rows"; return; }
  awk -F ' [|] ' 'FILENAME == ARGV[1] {old[$1] = 1; next} FILENAME == ARGV[2] {newer[$1] = $0; next}
    {print $1 in old ? newer[$1] : $0}' <(only "$rows" "$OUTDATED") "$RUN_DIR/stock-2.1.rows" "$rows"
}

# compare NAME STOCK: the rows of a run, against those of a stock shim.
compare() {
  expectation "$2" >"$RUN_DIR/expected"
  check "$1: every row but the listed texts is that of $2" same \
    <(without "$RUN_DIR/expected" "$TEXTS" | supervised "$1") <(without "$RUN_DIR/$1.rows" "$TEXTS" | supervised "$1")
  check "$1: of the listed rows codes and fields are those of $2" same \
    <(only "$RUN_DIR/expected" "$TEXTS" | wordless) <(only "$RUN_DIR/$1.rows" "$TEXTS" | wordless)
  check "$1: the events are those of $2, in its order" same "$RUN_DIR/$2.events" "$RUN_DIR/$1.events"
}

begin_by_hand "$@"
fetch_suite 1.7
fetch_suite 2.1
for stock in "${STOCKS[@]}"; do
  IFS=: read -r name tools version <<<"$stock"
  replay "$name" "$MOAT_CACHE/tools/$tools/usr/bin/containerd-shim-runc-v2" "$version" .
done
check "where 1.6 is called outdated, the later ones agree" same \
  <(only "$RUN_DIR/stock-1.7.rows" "$OUTDATED") <(only "$RUN_DIR/stock-2.1.rows" "$OUTDATED")
for mode in off audit enforce; do
  for version in 2 3; do
    replay "moat-$mode-v$version" "$SHIM" "$version" ".annotations[\"moat.dev/mode\"] = \"$mode\""
  done
  for stock in "${STOCKS[@]}"; do
    IFS=: read -r name tools version <<<"$stock"
    compare "moat-$mode-v$version" "$name"
  done
  [[ $mode == off ]] || check "moat-$mode: who asks for a checkpoint is told what stands in its way" \
    contains "$RUN_DIR/moat-$mode-v3.rows" '^Checkpoint \| FailedPrecondition \| .*moat\.dev/mode to off'
done
conclude
