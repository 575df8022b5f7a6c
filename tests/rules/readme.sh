#!/usr/bin/env bash
# README.md tells the truth about what can be checked: commands, options, paths, annotations, labels,
# and its example policy. Needs MOAT_SOURCE, and MOAT_BUILD, built.
# shellcheck disable=SC2013,SC2016  # words without spaces; backticks are the README's
set -euo pipefail
: "${MOAT_BUILD:?}"
cd "${MOAT_SOURCE:?}"
CHECKED=0 BAD=0
WORK=$(mktemp -d /tmp/moat.XXXXXX)
trap 'rm -rf "$WORK"' EXIT

# is SENTENCE CMD...
is() {
  CHECKED=$((CHECKED + 1))
  "${@:2}" >"$WORK/out" 2>&1 && return
  BAD=$((BAD + 1))
  echo "README.md: not true: $1"
  head -n 5 "$WORK/out" | sed 's/^/    /'
}

# blocks LANGUAGE: what its fenced blocks hold.
blocks() { awk -v start="\`\`\`$1" '$0 == "```" {on = 0} on {print} $0 == start {on = 1}' README.md; }

# section HEADING: from it to the next heading.
section() { awk -v start="$1" '/^#/ {on = $0 == start} on {print}' README.md; }

# What is between backticks in the first column of a table, a line each.
first_column() { grep '^| `' | cut -d'|' -f2 | grep -o '`[^`]*`' | tr -d '`'; }

annotations() {
  section '### Annotations' | first_column | sort >"$WORK/told"
  sed -n '/^constexpr std::array kKeys/,/^};/s/^ *Key{"\([^"]*\)".*/\1/p' oci/annotations.cc | sort >"$WORK/there"
  is "the annotations are those of oci/annotations.cc" test -s "$WORK/there"
  is "each annotation is told once, and no other" diff "$WORK/told" "$WORK/there"
  local key
  for key in $(grep -oE 'moat\.dev/[a-z0-9-]+' README.md | grep -vE '^moat\.dev/(v1alpha1|event)$' | sort -u); do
    is "$key is an annotation" grep -qx "${key#*/}" "$WORK/there"
  done
}

paths() {
  local path
  for path in $(grep -oE '`(policies|oci|hooks|shim|tests|charts)/[^`<> ]*`' README.md | tr -d '`' | sort -u); do
    is "$path is in the tree" test -e "$path"
  done
  for path in $(section '## The tree' | grep -oE '`[a-z0-9]+/`' | tr -d '`'); do
    is "$path is a folder of the tree, or of tests" test -d "$path" -o -d "tests/$path"
  done
  for path in */; do
    [[ $path == build*/ || $path == charts/ ]] || is "the tree map has $path" grep -qF "| \`$path\` |" README.md
  done
}

# moatctl_line WORD...: the command exists and has these options.
moatctl_line() {
  local word names=() options=() takes_value=
  for word in "$@"; do
    if [[ $word == -* ]]; then options+=("$word") takes_value=yes
    elif [[ -z $takes_value && $word =~ ^[a-z]+$ ]]; then names+=("$word")
    fi
  done
  is "moatctl ${names[*]} is a command" "$MOAT_BUILD/bin/moatctl" "${names[@]}" --help
  cp "$WORK/out" "$WORK/help"
  for word in "${options[@]}"; do
    is "moatctl ${names[*]} takes $word" grep -qE -- "(^|[ ,])$word([ ,=]|\$)" "$WORK/help"
  done
}

# labels WORD...: what may follow tests/run.sh.
labels() {
  local word
  for word in "$@"; do
    case $word in
      --*) is "tests/run.sh takes $word" grep -qF -- "$word" tests/run.sh ;;
      *) is "there are tests with the label $word" test -d "tests/$word" ;;
    esac
  done
}

commands() {
  local line words option
  while read -r line; do
    line=${line%%#*}
    read -r -a words <<<"$line"
    ((${#words[@]} > 0)) || continue
    case ${words[0]} in
      moatctl) moatctl_line "${words[@]:1}" ;;
      tests/run.sh) labels "${words[@]:1}" ;;
    esac
    [[ ${words[0]} != tests/* ]] || is "${words[0]} can be run" test -x "${words[0]}"
  done < <(blocks sh)
  for option in $(grep -oE -- '-DMOAT_[A-Z_]+' README.md | sort -u); do
    is "CMake knows $option" grep -qF "option(${option#-D} " CMakeLists.txt
  done
  read -r -a words < <(grep -oE 'labels: [a-z0-9 ]+$' README.md | cut -d: -f2)
  is "the labels are told" test "${#words[@]}" -gt 0
  labels "${words[@]}"
  is "containerd-shim-moat-v2 -v" "$MOAT_BUILD/bin/containerd-shim-moat-v2" -v
  is "moat-hook version" "$MOAT_BUILD/bin/moat-hook" version
}

policy() {
  blocks yaml | awk '/^apiVersion: moat.dev/ {on = 1} /^apiVersion: [^m]/ {on = 0} on {print}' >"$WORK/policy.yaml"
  is "there is an example policy" grep -q 'kind: LifecyclePolicy' "$WORK/policy.yaml"
  is "a node takes the example policy" "$MOAT_BUILD/bin/moatctl" policy lint "$WORK/policy.yaml"
  local profile
  for profile in $(grep -oE 'builtin/[a-z-]+' README.md | sort -u); do
    is "$profile is shipped" test -f "policies/$profile.yaml"
  done
}

annotations
paths
commands
policy
((CHECKED > 30)) || { echo "only $CHECKED statements found: README.md is not as this test reads it"; exit 1; }
((BAD == 0)) || { echo "$BAD of $CHECKED statements are not true"; exit 1; }
echo "$CHECKED statements are true"
