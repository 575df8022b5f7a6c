# shellcheck shell=bash
# What every script here starts with: where things are, how to complain, how to become root.

MOAT_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MOAT_BUILD=${MOAT_BUILD:-$MOAT_SOURCE/build}
MOAT_CACHE=${MOAT_CACHE:-${HOME:-/root}/.cache/moat}
export MOAT_SOURCE MOAT_BUILD MOAT_CACHE

# Exit statuses of the scripts: 1 a check failed, 2 usage, 3 the machine cannot do it.
die() { printf '%s: %s\n' "${0##*/}" "$1" >&2; exit "${2:-1}"; }

say() { printf '%6.1fs  %s\n' "$(since_start)" "$*"; }

# Seconds since the script started, with a decimal; EPOCHREALTIME needs no process.
STARTED=${EPOCHREALTIME/[.,]/}
since_start() {
  local now=${EPOCHREALTIME/[.,]/} ms
  ms=$(((now - STARTED) / 1000))
  printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}

# need_root "$@": go on as root, through sudo if necessary. The cache stays the calling user's, so
# that a run with and a run without sudo share it.
need_root() {
  ((EUID != 0)) || { mkdir -p "$MOAT_CACHE" && return; }
  sudo -n true 2>/dev/null ||
    die "needs root: run it as root, or as a user whose sudo asks no password" 3
  local keep=(MOAT_CACHE="$MOAT_CACHE" MOAT_BUILD="$MOAT_BUILD") name
  for name in CI CTEST_PARALLEL_LEVEL http_proxy https_proxy no_proxy; do
    [[ ! -v $name ]] || keep+=("$name=${!name}")
  done
  exec sudo -n env "${keep[@]}" bash "$(realpath "$0")" "$@"
}

# with_cache_lock CMD...: two runs may share a cache, but only one at a time fills it.
with_cache_lock() {
  mkdir -p "$MOAT_CACHE"
  local lock
  exec {lock}>"$MOAT_CACHE/.lock"
  flock "$lock" || die "cannot lock $MOAT_CACHE/.lock"
  "$@" {lock}>&-
  exec {lock}>&-
}

# wait_until SECONDS CMD...: true as soon as CMD is; false when the time is over.
wait_until() {
  local until=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/[.,]/} < until)) || return 1
    sleep 0.05
  done
}

# quietly LOG CMD...: output goes to the log, whose end is shown if CMD fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 && return
  printf -- '--- the last lines of %s\n' "$log" >&2
  tail -n 25 "$log" >&2
  return 1
}
