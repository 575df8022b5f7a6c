# shellcheck shell=bash
# The scenarios. Each starts one server, lets it work, looks from outside, stops it, and adds a row
# to the table: what was expected, what was seen, and whether they agree.

STOCK=io.containerd.runc.v2
MOAT=io.containerd.moat.v2
ALL="shell key append connect"
ROWS=()
FAILED=0

# row NAME EXPECTED SEEN
row() {
  local verdict=ok
  [[ $2 == "$3" ]] || { verdict=FAILED; FAILED=$((FAILED + 1)); }
  ROWS+=("$1"$'\t'"$2"$'\t'"$3"$'\t'"$verdict")
  say "$1: $3 ($verdict)"
}

# train ROOTFS [--torch]: in a plain container, as its owner would.
train() {
  local rootfs=$1
  shift
  MODELS=$RUN_DIR/models
  mkdir -p "$MODELS"
  make_world train "$rootfs"
  say "training the models"
  run_container train "$WORLD/rootfs" --runtime "$STOCK" --with-ns "network:$WORLD/net" \
    --mount "type=bind,src=$MODELS,dst=/models,options=rbind:rw" \
    -- python3 /app/train.py /models "$@"
  wait "$CTR_PID" || { cat "$RUN_DIR/train.out" >&2; die "training failed; its output is above"; }
  end_world
}

# serve ID RUNTIME MODE ROOTFS ARTIFACT: returns when the server answers, or says why it does not.
# With moat, the container carries mode, profile and model path, and nothing else.
serve() {
  local id=$1 runtime=$2 mode=$3 rootfs=$4 artifact=$5 options=()
  if [[ $mode != none ]]; then
    options=(--annotation "moat.dev/mode=$mode" --annotation moat.dev/profile=builtin/python
      --annotation moat.dev/model-paths=/models)
  fi
  make_world "$id" "$rootfs"
  SERVE_STARTED=$EPOCHREALTIME
  run_container "$id" "$WORLD/rootfs" --runtime "$runtime" --with-ns "network:$WORLD/net" \
    --mount "type=bind,src=$MODELS,dst=/models,options=rbind:ro" "${options[@]}" \
    -- python3 /app/serve.py "/models/$artifact" "$PORT"
  wait_until 60 answers_or_died || true
  if ! healthy || { [[ $mode != none ]] && ! wait_until 60 in_phase "$id" serve; }; then
    show_failure "$id" "$mode"
    return 1
  fi
}

healthy() { in_net curl -sf -m 2 -o /dev/null "http://127.0.0.1:$PORT/healthz"; }
answers_or_died() { gone "$CTR_PID" || healthy; }

show_failure() {
  {
    echo "--- the server of '$1' does not serve$([[ $2 == none ]] || echo " (phase: $(ps_field "$1" phase))"); its output:"
    tail -n 15 "$RUN_DIR/$1.out"
    echo "--- the last lines of containerd and shim:"
    tail -n 15 "$RUN_DIR/containerd.log"
    echo "--- its last events:"
    tail -n 5 "$(events_file "$1")" 2>/dev/null
  } >&2 || true
}

# right_answers ARTIFACT: how many of the 100 requests, each on its own connection, are answered as
# right after training.
right_answers() {
  local answers=$WORLD/answers config=$WORLD/requests.curl
  awk -v url="http://127.0.0.1:$PORT/predict" '{
    gsub(/"/, "\\\"")
    printf "%surl = \"%s\"\ndata = \"%s\"\nmax-time = 10\nsilent\n", (NR > 1 ? "next\n" : ""), url, $0
  }' "$MODELS/requests" >"$config"
  in_net curl -K "$config" >"$answers" || true
  paste -d'|' "$answers" "$MODELS/$1.expected" | awk -F'|' '$1 == $2 && $1 != ""' | wc -l
}

finish() { stop_container "$1" "$CTR_PID"; end_world; }

words() { [[ -n $1 ]] && wc -w <<<"$1" || echo 0; }

# What a line of the table says about effects and reports.
effects_text() { local n; n=$(words "$1"); echo "$n of 4 effects${1:+ ($1)}"; }
reports_text() { local n; n=$(words "$2"); echo "$n of 4 reported as $1 in $3${2:+ ($2)}"; }

# stock_poisoned ROOTFS ARTIFACT: without moat the attack works; otherwise nothing below means much.
stock_poisoned() {
  local id=stock-${2##*.} seen=""
  if serve "$id" "$STOCK" none "$1" "$2"; then seen=$(effects_text "$(effects "$id")"); fi
  finish "$id"
  row "$2, runc" "$(effects_text "$ALL")" "${seen:-no answer}"
}

# honest ROOTFS ARTIFACT: a good model must not notice that it is supervised.
honest() {
  local id=honest-${2##*.} seen="" right before after
  if serve "$id" "$MOAT" enforce "$1" "$2"; then
    before=$(ps_field "$id" notifications)
    right=$(right_answers "$2")
    after=$(ps_field "$id" notifications)
    MEMORY=$(memory_of)
  fi
  finish "$id"
  [[ -z ${right:-} ]] ||
    seen="$(went_through "$id"); $right of 100 right; $(count_kind "$id" violation) violations, $(count_kind "$id" would_deny) would-denies"
  row "$2, enforce" "loaded, then served; 100 of 100 right; 0 violations, 0 would-denies" "${seen:-no answer}"
  echo "           phases:"
  timeline "$id" "$SERVE_STARTED"
  [[ -z ${MEMORY:-} ]] || echo "           resident: ${MEMORY%, }"
  [[ -z ${before:-} ]] || awk -v b="$before" -v a="${after:-$before}" \
    'BEGIN {printf "           notifications: %d until serving, %.2f per request\n", b, (a - b) / 100}'
}

# poisoned ROOTFS ARTIFACT MODE: audit lets everything happen and reports it, enforce nothing.
poisoned() {
  local id=$3-${2##*.} kind=violation expected="" seen="" happened
  [[ $3 == enforce ]] || { kind=would_deny; expected=$ALL; }
  if serve "$id" "$MOAT" "$3" "$1" "$2"; then
    happened=$(effects "$id")
    wait_until 3 all_reported "$id" "$kind" load || true
    seen="$(effects_text "$happened"), $(reports_text "$kind" "$(reported "$id" "$kind" load)" load)"
  fi
  finish "$id"
  row "$2, $3" "$(effects_text "$expected"), $(reports_text "$kind" "$ALL" load)" "${seen:-no answer}"
}

# late ROOTFS ARTIFACT: the payload acts at the 20th of the 100 requests.
late() {
  local id=late-${2##*.} seen="" right happened
  if serve "$id" "$MOAT" enforce "$1" "$2"; then
    right=$(right_answers "$2")
    happened=$(effects "$id")
    wait_until 3 all_reported "$id" violation serve || true
    seen="$(effects_text "$happened"), $(reports_text violation "$(reported "$id" violation serve)" serve)"
    seen+=", $((right < 99 ? right : 99)) other requests right"
  fi
  finish "$id"
  row "$2, enforce" \
    "$(effects_text ""), $(reports_text violation "$ALL" serve), 99 other requests right" "${seen:-no answer}"
}

# The table: a scenario's two versions under each other, since they are to be compared.
print_table() {
  local line name expected seen verdict
  printf '\n%-24s %-7s %s\n' SCENARIO RESULT "EXPECTED / SEEN"
  for line in "${ROWS[@]}"; do
    IFS=$'\t' read -r name expected seen verdict <<<"$line"
    printf '%-24s %-7s expected  %s\n%-24s %-7s seen      %s\n' "$name" "$verdict" "$expected" "" "" "$seen"
  done
}
