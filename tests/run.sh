#!/usr/bin/env bash
# Builds everything and runs the tests.
#
# usage: tests/run.sh [--build-only] [LABEL...]
#   LABEL   unit, sim, live, e2e, attack, ...; without one: everything but bench and soak
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in common kernel packages apt rootfs build; do
  # shellcheck source=/dev/null
  source "$TESTS/lib/$part.sh"
done

usage() { sed -n '/^# usage:/,/^set/{/shellcheck/!s/^# \?//p}' "$TESTS/${0##*/}"; }

BUILD_ONLY='' LABELS=()
for argument in "$@"; do
  case $argument in
    --build-only) BUILD_ONLY=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; die "unknown option '$argument'" 2 ;;
    *) LABELS+=("$argument") ;;
  esac
done

known_labels() { ctest --test-dir "$MOAT_BUILD" --print-labels | sed -n 's/^  //p'; }

# An unknown label would select no test and look like success.
check_labels() {
  local label known
  known=$(known_labels)
  for label in "${LABELS[@]}"; do
    grep -qxF -- "$label" <<<"$known" ||
      die "no test has the label '$label'; there are: $(paste -sd' ' <<<"$known")" 2
  done
}

selection() {
  if ((${#LABELS[@]} == 0)); then
    printf '%s\n' -LE '^(bench|soak)$'
  else
    printf '%s\n' -L "^($(IFS='|'; echo "${LABELS[*]}"))\$"
  fi
}

need_root "$@"
check_kernel
install_packages build run test
build_everything
[[ -z $BUILD_ONLY ]] || exit 0
check_labels
fetch_tools
mapfile -t chosen < <(selection)
say "running the tests"
# What tests that start containers need to know; the shell library gives them the rest.
export MOAT_SOURCE MOAT_BUILD MOAT_CACHE MOAT_BIN MOAT_TOOLS
exec ctest --test-dir "$MOAT_BUILD" --output-on-failure --no-tests=error "${chosen[@]}" </dev/null
