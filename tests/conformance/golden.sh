#!/usr/bin/env bash
# The same calls to the stock shims of three containerds and to moat's, and the same answers: codes,
# texts, fields, states, and the events in the same order.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,daemon} conformance/lib/golden; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

STOCKS=(bookworm:1.6:2 trixie-containerd:1.7:2 sid-containerd:2.1:3)

fetch_stocks() {
  with_cache_lock fetch_debs trixie trixie-containerd containerd runc
  with_cache_lock fetch_debs sid sid-containerd containerd runc
}

# compare NAME STOCK: the rows of a run, against those of a stock shim.
compare() {
  local name=$1 stock=$2
  check "$name: every row but the listed texts is that of $stock" same \
    <(without_texts "$RUN_DIR/$stock.rows") <(without_texts "$RUN_DIR/$name.rows")
  check "$name: codes and fields of the listed rows are those of $stock, too" same \
    <(listed "$RUN_DIR/$stock.rows") <(listed "$RUN_DIR/$name.rows")
  check "$name: the events are those of $stock, in its order" same \
    "$RUN_DIR/$stock.events" "$RUN_DIR/$name.events"
}

begin_by_hand "$@"
fetch_stocks
for stock in "${STOCKS[@]}"; do
  IFS=: read -r tools version api <<<"$stock"
  replay "stock-$version" "$MOAT_CACHE/tools/$tools/usr/bin/containerd-shim-runc-v2" "$api" .
  for mode in off audit enforce; do
    replay "moat-$version-$mode" "$SHIM" "$api" ".annotations[\"moat.dev/mode\"] = \"$mode\""
    compare "moat-$version-$mode" "stock-$version"
  done
done
conclude
