#!/usr/bin/env bash
# The calls about streams and terminals, to the stock shims and to moat's: the same answers, states,
# events and bytes.
# shellcheck disable=SC2016,SC2034,SC2153  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd,suites} e2e/lib/{checks,small_rootfs,daemon} conformance/lib/golden; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

SMALL_PROGRAMS+=(stty)

# streams NAME STREAM...: FIFOs in the bundle, what comes out of them in NAME.STREAM. IN is a
# descriptor for the one that goes in.
streams() {
  local name=$1 out
  mkfifo "$RUN_DIR/b/golden/$name.in"
  exec {IN}<>"$RUN_DIR/b/golden/$name.in"
  for out in "${@:2}"; do
    mkfifo "$RUN_DIR/b/golden/$name.$out"
    cat "$RUN_DIR/b/golden/$name.$out" >"$RUN_DIR/$name.$out" &
    READERS+=($!)
  done
}
READERS=()

# ended_streams: their readers see an end once the shim has closed its side.
ended_streams() {
  local reader alive=0
  for reader in "${READERS[@]}"; do wait_until 3 gone "$reader" || alive=$((alive + 1)); done
  kill "${READERS[@]}" 2>/dev/null || true
  wait "${READERS[@]}" 2>/dev/null || true
  READERS=()
  echo "readers without an end | $alive"
}

of() { echo "stdin=$RUN_DIR/b/golden/$1.in stdout=$RUN_DIR/b/golden/$1.out ${2-stderr=$RUN_DIR/b/golden/$1.err}"; }

exec_of() { jq -n --arg c "$1" '{cwd: "/", env: ["PATH=/bin"], user: {uid: 0, gid: 0}, args: ["/bin/sh", "-c", $c]}' >"$RUN_DIR/exec.json"; }

# A shell with three pipes, an exec with three of its own, the ends of all of them.
pipes() {
  streams pipe out err
  local init=$IN
  play "$1" <<END
Create | Create id=golden bundle=$RUN_DIR/b/golden $(of pipe)
State created | State id=golden
ResizePty | ResizePty id=golden width=10 height=10
Start | Start id=golden
State | State id=golden
END
  echo 'echo to out; echo to err >&2' >&"$init"
  streams exec out err
  exec_of 'read -r line; echo "exec: $line"; echo "exec err" >&2; while read -r line; do :; done; exit 9'
  play "$1" <<END
Exec | Exec id=golden exec=e1 spec=@$RUN_DIR/exec.json $(of exec)
Start exec | Start id=golden exec=e1
State exec | State id=golden exec=e1
END
  echo "some words" >&"$IN"
  exec {IN}>&-
  play "$1" <<END
CloseIO exec | CloseIO id=golden exec=e1
Wait exec | Wait id=golden exec=e1 patience=3000
CloseIO ended exec | CloseIO id=golden exec=e1
Delete exec | Delete id=golden exec=e1
END
  echo 'exit 4' >&"$init"
  exec {init}>&-
  play "$1" <<END
Wait | Wait id=golden patience=3000
CloseIO after exit | CloseIO id=golden
State stopped | State id=golden
Delete | Delete id=golden
END
  ended_streams
}

# A program on a terminal, an exec on another. Neither prompts: what a terminal echoes and what a
# shell says would come in any order.
terminals() {
  streams tty out
  local init=$IN
  play "$1" <<END
Create tty | Create id=golden bundle=$RUN_DIR/b/golden terminal=1 $(of tty '')
State created | State id=golden
ResizePty created | ResizePty id=golden width=91 height=31
Start | Start id=golden
State | State id=golden
END
  echo size >&"$init"
  streams exectty out
  exec_of 'read -r line; stty size; exit 6'
  play "$1" <<END
Exec | Exec id=golden exec=e1 spec=@$RUN_DIR/exec.json terminal=1 $(of exectty '')
ResizePty unstarted exec | ResizePty id=golden exec=e1 width=92 height=32
Start exec | Start id=golden exec=e1
State exec | State id=golden exec=e1
ResizePty exec | ResizePty id=golden exec=e1 width=93 height=33
CloseIO exec | CloseIO id=golden exec=e1
END
  echo go >&"$IN"
  play "$1" <<END
Wait exec | Wait id=golden exec=e1 patience=3000
ResizePty ended exec | ResizePty id=golden exec=e1 width=94 height=34
Delete exec | Delete id=golden exec=e1
END
  exec {IN}>&-
  echo end >&"$init"
  play "$1" <<END
Wait | Wait id=golden patience=3000
ResizePty after exit | ResizePty id=golden width=95 height=35
Delete | Delete id=golden
END
  exec {init}>&-
  ended_streams
}

declare -A PROGRAM=(
  [pipes]='.process.args = ["/bin/sh"]'
  [terminals]='.process.terminal = true
    | .process.args = ["/bin/sh", "-c", "read -r line; stty size; read -r line; exit 5"]'
)

# replayed NAME SHIM VERSION MODE: rows, events and streams of both in NAME.*
replayed() {
  local name=$1 version=$3 stream
  MODE=$4
  : >"$RUN_DIR/events"
  : >"$RUN_DIR/raw"
  for stream in pipes terminals; do
    new_bundle golden "${PROGRAM[$stream]}"
    start_by_hand golden "$2"
    "$stream" "$version" >>"$RUN_DIR/raw" 2>&1
    echo "Shutdown | Shutdown id=golden" | play "$version" >>"$RUN_DIR/raw"
    wait_until 5 no_shim
    rm -rf "$RUN_DIR/b/golden"
  done
  rows "$name" <"$RUN_DIR/raw" >"$RUN_DIR/$name.rows"
  cat "$RUN_DIR/raw" "$RUN_DIR/events" | names_for_numbers |
    tail -n +"$(($(wc -l <"$RUN_DIR/raw") + 1))" >"$RUN_DIR/$name.events"
  for stream in {pipe,exec}.{out,err} {tty,exectty}.out; do
    echo "$stream: $(od -An -c "$RUN_DIR/$stream" | tr -s ' \n')"
  done >"$RUN_DIR/$name.streams"
}

no_shim() { ! pgrep -f -- "-namespace $CTR_NAMESPACE -id golden( |\$)" >/dev/null; }

begin_by_hand "$@"
fetch_suite 1.7
fetch_suite 2.1
for suite in bookworm trixie sid; do
  replayed "stock-$suite" "$MOAT_CACHE/tools/$suite/usr/bin/containerd-shim-runc-v2" "$([[ $suite == sid ]] && echo 3 || echo 2)" off
done
check "the stock shim's streams carry what is compared" contains "$RUN_DIR/stock-sid.streams" '^exectty.out: .*3 3 9 3'
for mode in off enforce; do
  replayed "moat-$mode" "$SHIM" 2 $mode
  for suite in bookworm trixie sid; do
    for part in rows events streams; do
      check "moat-$mode: the $part are those of $suite's shim" same "$RUN_DIR/stock-$suite.$part" "$RUN_DIR/moat-$mode.$part"
    done
  done
done
conclude
