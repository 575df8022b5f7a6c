# shellcheck shell=bash
# Statistics of containers, as shims answer them. VERSION: of the machine's cgroups, v1 or v2.

# ask ID: ID.type, and the message as text in ID.text.
ask() {
  local id=$1 socket
  socket=$(<"$RUN_DIR/state/io.containerd.runtime.v2.task/$CTR_NAMESPACE/$id/address")
  "$MOAT_BIN/tools/shim_stats" "${socket#unix://}" "$id" >"$RUN_DIR/$id.raw"
  head -n 1 "$RUN_DIR/$id.raw" >"$RUN_DIR/$id.type"
  tail -n +2 "$RUN_DIR/$id.raw" | protoc -I "$MOAT_SOURCE" --decode "$(<"$RUN_DIR/$id.type")" \
    "shim/proto/metrics_$VERSION.proto" >"$RUN_DIR/$id.text"
}

# names ID: which fields are there, but pressure: it came after Debian 12's containerd.
names() { without_pressure "$1" | sed -E 's/: .*//'; }
without_pressure() {
  awk '/psi [{]$/ {inside = 1} !inside {print} inside {depth += gsub("[{]", "") - gsub("[}]", "")} depth == 0 {inside = 0}' \
    "$RUN_DIR/$1.text"
}

# steady ID: what does not move while nothing runs; huge pages are in no order.
steady() {
  grep -E '^ *(limit|hierarchical|rss|total_rss|current|pagesize|oom)|[{}]' <(without_pressure "$1") | sort
}

# same_stats WHEN: the containers "stock" and "moat" are in one group, each under the shim of its name.
same_stats() {
  check "$1: both shims answer" both_answer
  check "$1: in the same type" same "$RUN_DIR/stock.type" "$RUN_DIR/moat.type"
  check "$1: the type is the machine's" equals "io.containerd.cgroups.$VERSION.Metrics" "$(<"$RUN_DIR/moat.type")"
  check "$1: no field is unknown to us" nothing grep -E '^ *[0-9]+[: ]' "$RUN_DIR/stock.text"
  check "$1: the same fields are there" same <(names stock) <(names moat)
  check "$1: limits and what does not move are the same" same <(steady stock) <(steady moat)
}
both_answer() { ask stock && ask moat; }
