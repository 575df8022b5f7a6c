# shellcheck shell=bash disable=SC2016
# What moat says of a container. A report's process bears the attempt's name.

events_file() { echo "$MOAT_LOG_DIR/containers/$1.jsonl"; }

# events ID JQ-FILTER [jq option...]: a container that has said nothing has no file.
events() {
  local file filter=$2
  file=$(events_file "$1")
  shift 2
  [[ ! -s $file ]] || jq -r "$@" "$filter" "$file"
}

count_kind() { events "$1" 'select(.kind == $kind) | .kind' --arg kind "$2" | wc -l; }

phases_of() { events "$1" 'select(.kind == "phase") | .phase.name' | paste -sd' '; }

entered() { [[ " $(phases_of "$1") " == *" $2 "* ]]; }
entered_or_died() { gone "$CTR_PID" || entered "$@"; }

wait_for_phase() {
  wait_until 30 entered_or_died "$1" "$2"
  entered "$1" "$2" && return
  echo "--- $1 is not in $2; its last events:" >&2
  tail -n 4 "$(events_file "$1")" >&2
  return 1
}

# reported ID KIND: "ATTEMPT PHASE RULE" of every report that names phase, process, object and rule.
reported() {
  events "$1" 'select(.kind == $kind)
    | select((.process.comm // "") != "" and (.process.exe // "") != "")
    | select((.object | type) == "object" and (.object.type // "") != "")
    | "\(.process.comm) \(.phase.name) \(.rule.id)"' --arg kind "$2" | sort -u
}

# unreported ID KIND RULES: the attempts, per phase, that should have been reported and were not.
# RULES: which of the table's rules are reported ("all": also the filter's own refusals).
unreported() {
  reported "$1" "$2" >"$RUN_DIR/$1.reported"
  awk -v all="$3" '
    FNR == NR {seen[$1, $2] = seen[$1, $2] " " $3; next}
    $2 == "silent" || $2 == "abi" || ($2 ~ /^filter/ && all != "all") {next}
    {
      for (i = split("load serve", phases); i > 0; --i) {
        got = seen[$1, phases[i]] " "
        rule = $2 == "filter" ? "never." : phases[i] "." substr($2, index($2, ":") + 1) " "
        if (index(got, " " rule) == 0) print $1, phases[i] ": no report of rule", rule, "but of:" got
      }
    }' "$RUN_DIR/$1.reported" "$ATTEMPTS"
}

# groundless ID: reports about what no attempt of the table did. A mount that `audit` lets happen is told
# of once more, when it is there, and nobody knows by whom.
groundless() {
  events "$1" 'select(.kind == "violation" or .kind == "would_deny")
    | select(.rule.id != "never.mount" or .process != null)
    | "\(.process.comm) \(.phase.name) \(.rule.id) \(.object.path // .object.name // "")"' |
    awk 'FNR == NR {known[$1]; next} !($1 in known)' "$ATTEMPTS" - | sort | uniq -c
}
