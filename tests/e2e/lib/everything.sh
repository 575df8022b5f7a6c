# shellcheck shell=bash
# A server that tries everything, and what became of it.

# With it mounts and namespaces can be changed unless somebody stands in the way.
OPTIONS=(--cap-add CAP_SYS_ADMIN)

# run_all ID RUNTIME MODE: everything at load, everything at the first request; honest actions, too.
run_all() {
  local id=$1 mode=$3
  start_server "$id" "$2" "$mode" "${OPTIONS[@]}" \
    < <(orders honest load request:1; orders all load request:1)
  wait_for "$id" '^listening$' || return 1
  [[ $mode != enforce && $mode != audit ]] || wait_for_phase "$id" serve || return 1
  predict >"$RUN_DIR/$id.answer" || return 1
  wait_until 5 effects_settled "$id"
  secret_escaped "$id" >"$RUN_DIR/$id.escaped"
  results "$id" attempt >"$RUN_DIR/$id.attempts"
  results "$id" honest >"$RUN_DIR/$id.honest"
}

# What reaches the canary is written down by another process, a moment later.
effects_settled() {
  effects "$1" >"$RUN_DIR/$1.effects"
  sleep 0.4
  effects "$1" | cmp -s - "$RUN_DIR/$1.effects"
}

finish() { stop_container "$1" "$CTR_PID"; }

succeeded() { grep ' result=ok$' "$RUN_DIR/$1.attempts" || true; }
not_ok() { grep -v ' result=ok$' "$RUN_DIR/$1.honest" || true; }
lines_of() { wc -l <"$1"; }

# session ID: a second process in the container, as an exec probe would be.
session() {
  ctr_ task exec --fifo-dir "$RUN_DIR/fifo" --exec-id s1 "$1" /bin/model_server fds >"$RUN_DIR/$1.session" </dev/null
  grep -q '^fd 1 ' "$RUN_DIR/$1.session"
}
