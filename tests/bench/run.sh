#!/usr/bin/env bash
# Measures moat against what it replaces, in turns on the same machine, with what it replaces from
# the same packages.
#
# usage: tests/bench/run.sh shim [--json FILE] [--quick] [--suite bookworm|trixie|sid] [PART...]
#   shim      the shim against containerd-shim-runc-v2, on the same runc
#   --json    where the rows go: [{"name","unit","moat","reference","against","ratio","goal","ok"}]
#   --quick   few rounds: shows that everything can be measured, not how fast it is
#   --suite   whose containerd and stock shim: 1.6 (the default), 1.7 or 2.1
#   PART      run, start, exec, calls, throughput, footprint; without one: all
# Exit 0 when every goal is reached, 1 when one is missed.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

usage() { sed -n '/^# usage:/,/^# Exit/s/^# \?//p' "$TESTS/bench/run.sh"; }
misused() { usage >&2; die "$1" 2; }

JSON='' SUITE=bookworm WORDS=() NAME=''
parse() {
  while (($# > 0)); do
    case $1 in
      --json) [[ -n ${2:-} ]] || misused "--json needs a file"; JSON=$(realpath -m "$2"); shift ;;
      --suite) SUITE=${2:-}; shift ;;
      --quick) WORDS+=(quick) ;;
      -h | --help) usage; exit 0 ;;
      run | start | exec | calls | throughput | footprint) WORDS+=("$1") ;;
      shim) NAME=shim ;;
      *) misused "unknown argument '$1'" ;;
    esac
    shift
  done
  [[ $NAME == shim ]] || misused "which benchmark? There is: shim"
  [[ $SUITE =~ ^(bookworm|trixie|sid)$ ]] || misused "unknown suite '$SUITE'"
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
  mkdir "$RUN_DIR/root" "$RUN_DIR/b"
  # Memory, for both alike: a disk's mood would be the largest figure.
  mount -t tmpfs -o mode=711 moat-bench "$RUN_DIR/root"
  mount -t tmpfs -o mode=711 moat-bench "$RUN_DIR/b"
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  PATH=$RUNC_FOLDER:$PATH start_containerd "$RUN_DIR"
  (cd "$RUN_DIR" && runc spec)
  jq --arg root "$RUN_DIR/rootfs" '.process.terminal = false | .root.path = $root' \
    "$RUN_DIR/config.json" >"$RUN_DIR/spec.json"
}

compare_shims() {
  # As containerd has it in the environment of its shims.
  MOAT_RUN_MARK=$RUN_DIR TTRPC_ADDRESS=$RUN_DIR/c.ttrpc GRPC_ADDRESS=$RUN_DIR/c NAMESPACE=$CTR_NAMESPACE \
    GOMAXPROCS=2 "$MOAT_BIN/tools/shim_bench" "$RUN_DIR" "$CTR_NAMESPACE" \
    "$MOAT_BIN/containerd-shim-moat-v2" "$STOCK_SHIM" "$MOAT_TOOLS/usr/bin/ctr" "${WORDS[@]}"
}

parse "$@"
need_root "$@"
[[ -x $MOAT_BIN/tools/shim_bench ]] || die "$MOAT_BIN/tools/shim_bench is not built; run tests/run.sh --build-only" 2
fetch_contestants
begin
say "$("$STOCK_SHIM" -v | paste -sd' ' | tr -s ' '), load $(cut -d' ' -f1-3 </proc/loadavg)"
STATUS=0
compare_shims || STATUS=$?
[[ -z $JSON ]] || cp "$RUN_DIR/rows.json" "$JSON"
exit "$STATUS"
