# shellcheck shell=bash disable=SC2016
# What moat says about a container: its event file, and moatctl's view.

events_file() { echo "$MOAT_LOG_DIR/containers/$1.jsonl"; }

# events ID JQ-FILTER [jq option...]: a container that has said nothing has no file.
events() {
  local file filter=$2
  file=$(events_file "$1")
  shift 2
  [[ ! -s $file ]] || jq -r "$@" "$filter" "$file"
}

count_kind() { events "$1" 'select(.kind == $kind) | .kind' --arg kind "$2" | wc -l; }

# The rule each effect breaks. A shell needs a new process before it needs a program.
rule_of() {
  case $1 in
    shell) echo 'process\.(exec|create)' ;;
    key) echo 'filesystem\.read' ;;
    append) echo 'filesystem\.modify' ;;
    connect) echo 'network\.access' ;;
  esac
}

# reported ID KIND PHASE: for which of the effects there is an event of that kind in that phase which
# names the process, the object and the rule.
reported() {
  local word found=
  for word in shell key append connect; do
    [[ -z $(events "$1" "$REPORT_FILTER" \
      --arg kind "$2" --arg phase "$3" --arg rule "^$3\\.$(rule_of "$word")$") ]] || found+=" $word"
  done
  in_order "$found"
}

REPORT_FILTER='select(.kind == $kind and .phase.name == $phase)
  | select((.rule.id // "") | test($rule))
  | select(((.process.comm // "") + (.process.exe // "")) != "")
  | select((.object | type) == "object")
  | .rule.id'

# all_reported ID KIND PHASE: events are written shortly after the fact, so this is waited for.
all_reported() { [[ $(reported "$@") == "shell key append connect" ]]; }

# ps_field ID FIELD: from moatctl ps; empty when it is not there.
ps_field() {
  "$MOAT_BIN/moatctl" ps -o json 2>/dev/null |
    jq -r --arg id "$1" --arg field "$2" '.[] | select(.id == $id) | .[$field] // empty' 2>/dev/null || true
}

in_phase() { [[ $(ps_field "$1" phase) == "$2" ]]; }

# went_through ID: without this, an event file that is missing would pass for a clean one.
went_through() {
  local phases
  phases=$(events "$1" 'select(.kind == "phase") | .phase.name' | paste -sd' ')
  if [[ " $phases " =~ " load ".*"serve " ]]; then echo "loaded, then served"; else echo "phases: ${phases:-none}"; fi
}

# timeline ID STARTED: a line per phase with its duration; STARTED is when ctr was called (seconds).
timeline() {
  events "$1" '[inputs | select(.kind == "phase")]
    | map({name: .phase.name, prev: .phase.prev,
           at: ((.time[0:19] + "Z" | fromdate) + ("0" + (.time[19:] | rtrimstr("Z")) | tonumber))})
    | (if length > 0 and .[0].prev then [{name: .[0].prev, at: $start}] else [] end) + .
    | . as $all | range(length)
    | [$all[.].name, $all[.].at - $start, (if . + 1 < ($all | length) then $all[. + 1].at - $all[.].at else null end)]
    | @tsv' -n --argjson start "$2" |
    while IFS=$'\t' read -r name at lasted; do
      printf '           %-9s from %7.3f s   %s\n' "$name" "$at" "${lasted:+for $(printf '%7.3f' "$lasted") s}"
    done
}

# memory_of: resident memory of moat's own processes that belong to this run, by role.
memory_of() {
  local proc role
  for proc in /proc/[0-9]*; do
    [[ $(readlink "$proc/exe" 2>/dev/null) == "$(realpath "$MOAT_BIN/containerd-shim-moat-v2")" ]] || continue
    role=$(tr '\0' '\n' <"$proc/cmdline" 2>/dev/null | grep -xE -m1 'supervisor|keeper|supervise') || role=shim
    printf '%s %s kB, ' "$role" "$(awk '/^VmRSS/ {print $2}' "$proc/status" 2>/dev/null)"
  done
}
