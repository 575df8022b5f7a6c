#!/usr/bin/env bash
# A process made by exec is what its own document says, nothing of its container's and nothing of
# ours: the document reaches the runtime as the stock shim would hand it on, and what runs has the same
# credentials, limits and privileges.
# shellcheck disable=SC2034,SC2153  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,daemon}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

STOCK=$MOAT_TOOLS/usr/bin/containerd-shim-runc-v2

documents() {
  local base='{"cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "1000"]}'
  jq . <<<"$base" >"$RUN_DIR/plain.json"
  jq '.noNewPrivileges = true' <<<"$base" >"$RUN_DIR/tight.json"
  jq '.noNewPrivileges = false' <<<"$base" >"$RUN_DIR/loose.json"
  jq '.terminal = true | .consoleSize = {height: 24, width: 80} | .noNewPrivileges = true | .oomScoreAdj = 100
    | .user = {uid: 7, gid: 8, umask: 63, additionalGids: [9, 10]} | .cwd = "/bin"
    | .env += ["UNICODE=h\u00e9 \u2028 <&>", "EMPTY="]
    | .capabilities = {bounding: ["CAP_CHOWN", "CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"], inheritable: [], ambient: []}
    | .rlimits = [{type: "RLIMIT_NPROC", hard: 700, soft: 600}, {type: "RLIMIT_CORE", hard: 1234321, soft: 0}]' \
    <<<"$base" | sed 's/1234321/18446744073709551615/' >"$RUN_DIR/full.json"  # jq would round it
}
NAMES=(plain tight loose full)

# portrait PID: what tells one process from another, but for its filter and its numbers.
portrait() {
  grep -E '^(Uid|Gid|Groups|Umask|NoNewPrivs|Cap[A-Z][a-z]+):' "/proc/$1/status"
  cat "/proc/$1/limits" "/proc/$1/oom_score_adj"
  readlink "/proc/$1/cwd"
  tr '\0' '\n' <"/proc/$1/environ"
  tr '\0' ' ' <"/proc/$1/cmdline"
}

# The runtime says that it has started a process shortly before the program is its own.
is_sleep() { [[ $(<"/proc/$1/comm") == sleep ]]; }

# run_with NAME SHIM MODE INIT_NNP: the portraits and documents of all execs, in NAME.*
run_with() {
  local name=$1 exec
  new_bundle golden ".annotations[\"moat.dev/mode\"] = \"$3\" | .process.noNewPrivileges = $4"
  start_by_hand golden "$2"
  play <<<"c | Create id=golden bundle=$RUN_DIR/b/golden runtime=$RUN_DIR/watched/runc
s | Start id=golden" >"$RUN_DIR/$name.calls"
  wait_until 5 is_sleep "$(cat "$RUN_DIR/b/golden/init.pid")"
  portrait "$(cat "$RUN_DIR/b/golden/init.pid")" >"$RUN_DIR/$name.init"
  for exec in "${NAMES[@]}"; do
    rm -f "$RUN_DIR/watched/process"
    play <<<"e | Exec id=golden exec=$exec spec=@$RUN_DIR/$exec.json
s | Start id=golden exec=$exec" >>"$RUN_DIR/$name.calls"
    # To Go, and so to runc, what is false or empty is absent.
    jq -S 'del(.. | select(. == null or . == false or . == []))' "$RUN_DIR/watched/process" >"$RUN_DIR/$name.$exec.document"
    wait_until 5 is_sleep "$(cat "$RUN_DIR/b/golden/$exec.pid")"
    portrait "$(cat "$RUN_DIR/b/golden/$exec.pid")" >"$RUN_DIR/$name.$exec"
  done
  printf -- '- | Kill id=golden signal=9\n- | Wait id=golden\n' | play
  for exec in "${NAMES[@]}"; do echo "- | Delete id=golden exec=$exec"; done | play
  printf -- '- | Delete id=golden\n- | Shutdown id=golden\n' | play
  check "$name: all ten calls succeed" equals 10 "$(grep -c ' | OK | ' "$RUN_DIR/$name.calls")"
  wait_until 5 no_shim
  rm -rf "$RUN_DIR/b/golden"
}

# What is enforced on a server must hold for whatever it executes: its init never gains a privilege.
# Who may exec into it is containerd's client, and decides for himself.
compare_init() {
  local seen=$RUN_DIR/$1-$2.init expected=$RUN_DIR/expected
  local change=
  [[ $1 != enforce ]] || change='s/^\(NoNewPrivs:\t\)0/\11/'
  sed "$change" "$RUN_DIR/stock-$2.init" >"$expected"
  check "$1-$2: init is the stock shim's, in enforce with no new privileges" same "$expected" "$seen"
}

no_shim() { ! pgrep -f -- "-namespace $CTR_NAMESPACE -id golden( |\$)" >/dev/null; }

begin_by_hand "$@"
mkdir "$RUN_DIR/watched"
install -m 755 "$MOAT_SOURCE/tests/support/watched_runc.sh" "$RUN_DIR/watched/runc"
echo "$RUNC" >"$RUN_DIR/watched/real"
documents
for nnp in true false; do
  run_with "stock-$nnp" "$STOCK" off $nnp
  check "stock-$nnp: what is compared differs from exec to exec" test \
    "$(cat "$RUN_DIR/stock-$nnp".{tight,loose,full} | grep NoNewPrivs | sort | uniq -c | awk '{print $1 $3}' | paste -sd' ')" == "10 21"
  for mode in off audit enforce; do
    run_with "$mode-$nnp" "$SHIM" $mode $nnp
    compare_init "$mode" "$nnp"
    for exec in "${NAMES[@]}"; do
      check "$mode-$nnp: the document of exec '$exec' is the stock shim's" same \
        "$RUN_DIR/stock-$nnp.$exec.document" "$RUN_DIR/$mode-$nnp.$exec.document"
      check "$mode-$nnp: and so is its process" same "$RUN_DIR/stock-$nnp.$exec" "$RUN_DIR/$mode-$nnp.$exec"
    done
  done
done
conclude
