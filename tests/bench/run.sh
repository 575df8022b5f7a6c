#!/usr/bin/env bash
# Measures moat against what it replaces, or against the least a mechanism can cost, in turns on the
# same machine.
#
# usage: tests/bench/run.sh NAME [--json FILE] [--quick] [--suite bookworm|trixie|sid] [PART...]
#   shim      the shim against containerd-shim-runc-v2, on the same runc
#             PART: run, start, exec, calls, throughput, footprint
#   syscall   what a call costs that moat decides on, in `enforce`
#             PART: notification, open, connect, restart
#   serve     a torch server in `enforce` against the same under the stock shim
#             PART: start, requests, counts
#   --json    where the rows go: [{"name","unit","moat","reference","against","ratio","goal","ok"}],
#             with "low", "high" and "samples" where the ratio has an interval
#   --quick   few rounds: shows that everything can be measured, not how fast it is
#   --suite   of shim, whose containerd and stock shim: 1.6 (the default), 1.7 or 2.1
#   PART      without one: all
# Exit 0 when every goal is reached, 1 when one is missed.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd,rootfs,packages} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done
# shellcheck source=tests/bench/worlds.sh
source "$TESTS/bench/worlds.sh"

usage() { sed -n '/^# usage:/,/^# Exit/s/^# \?//p' "$TESTS/bench/run.sh"; }
misused() { usage >&2; die "$1" 2; }

declare -A PARTS=(
  [shim]="run start exec calls throughput footprint"
  [syscall]="notification open connect restart"
  [serve]="start requests counts"
)
JSON='' SUITE=bookworm WORDS=() NAME=''
parse() {
  local word
  while (($# > 0)); do
    case $1 in
      --json) [[ -n ${2:-} ]] || misused "--json needs a file"; JSON=$(realpath -m "$2"); shift ;;
      --suite) SUITE=${2:-}; shift ;;
      --quick) WORDS+=(quick) ;;
      -h | --help) usage; exit 0 ;;
      -*) misused "unknown option '$1'" ;;
      *) if [[ $NAME ]]; then WORDS+=("$1"); else NAME=$1; fi ;;
    esac
    shift
  done
  [[ $NAME && -v PARTS[$NAME] ]] || misused "which benchmark? There are: shim syscall serve"
  for word in "${WORDS[@]}"; do
    [[ " quick ${PARTS[$NAME]} " == *" $word "* ]] || misused "$NAME has no part '$word'"
  done
  [[ $SUITE =~ ^(bookworm|trixie|sid)$ ]] || misused "unknown suite '$SUITE'"
  [[ $NAME == shim || $SUITE == bookworm ]] || misused "--suite is for shim"
}

# The runc is Debian 12's for every suite: it is the shims that are compared.
fetch_contestants() {
  fetch_tools
  RUNC_FOLDER=$MOAT_TOOLS/usr/sbin
  [[ $SUITE == bookworm ]] || {
    with_cache_lock fetch_debs "$SUITE" "$SUITE" containerd runc
    MOAT_TOOLS=$MOAT_CACHE/tools/$SUITE
  }
  TOOLS_PATH=$RUNC_FOLDER:$MOAT_TOOLS/usr/bin
  STOCK_SHIM=$MOAT_TOOLS/usr/bin/containerd-shim-runc-v2
  PATH=$RUNC_FOLDER:$PATH
}

begin() {
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap stop_containerd EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir "$RUN_DIR"/{root,b,w}
  # Memory, for both alike: a disk's mood would be the largest figure.
  local folder
  for folder in root b w; do mount -t tmpfs -o mode=711 moat-bench "$RUN_DIR/$folder"; done
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  PATH=$RUNC_FOLDER:$PATH start_containerd "$RUN_DIR"
  (cd "$RUN_DIR" && runc spec)
  "${NAME}_world"
}

# drive PROGRAM [ARGUMENT...]: with the environment that containerd gives its shims.
drive() {
  local program=$1
  shift
  MOAT_RUN_MARK=$RUN_DIR TTRPC_ADDRESS=$RUN_DIR/c.ttrpc GRPC_ADDRESS=$RUN_DIR/c NAMESPACE=$CTR_NAMESPACE \
    GOMAXPROCS=2 "$MOAT_BIN/tools/$program" "$RUN_DIR" "$CTR_NAMESPACE" \
    "$MOAT_BIN/containerd-shim-moat-v2" "$STOCK_SHIM" "$@" "${WORDS[@]}"
}

parse "$@"
need_root "$@"
for program in shim_bench cost_bench bench_worker; do
  [[ -x $MOAT_BIN/tools/$program ]] || die "$MOAT_BIN/tools/$program is not built; run tests/run.sh --build-only" 2
done
fetch_contestants
"${NAME}_needs"
begin
say "$("$STOCK_SHIM" -v | paste -sd' ' | tr -s ' '), load $(cut -d' ' -f1-3 </proc/loadavg)"
STATUS=0
if [[ $NAME == shim ]]; then
  drive shim_bench "$MOAT_TOOLS/usr/bin/ctr" || STATUS=$?
else
  drive cost_bench "$NAME" || STATUS=$?
fi
[[ -z $JSON ]] || cp "$RUN_DIR/rows.json" "$JSON"
exit "$STATUS"
