#!/usr/bin/env bash
# moatctl and moat-hook as a person or a program calls them, on files made here. Needs no privilege.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,build} e2e/lib/checks; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

begin() {
  local program
  for program in moatctl moat-hook; do
    [[ -x $MOAT_BIN/$program ]] || die "$MOAT_BIN/$program is not built; run tests/run.sh --build-only" 2
  done
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # The machine's own configuration stays out.
  export MOAT_CONFIG=$RUN_DIR/moat.yaml MOAT_STATE_DIR=$RUN_DIR/state MOAT_LOG_DIR=$RUN_DIR/log
  : >"$MOAT_CONFIG"
  mkdir -p "$RUN_DIR"/{state/shims,log/containers,log/pods/prod_llm-0_u1}
}

end() {
  local pid
  for pid in ${STARTED_HERE:-}; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$RUN_DIR"
}

# ctl STATUS ARGUMENT...: what it says goes to RUN_DIR/out and RUN_DIR/err.
ctl() { expect "$1" "$MOAT_BIN/moatctl" "${@:2}"; }
hook() { expect "$1" "$MOAT_BIN/moat-hook" "${@:2}"; }

expect() {
  local wanted=$1 status=0
  shift
  "$@" >"$RUN_DIR/out" 2>"$RUN_DIR/err" || status=$?
  ((status == wanted)) || { echo "exit $status, not $wanted: $*"; cat "$RUN_DIR/out" "$RUN_DIR/err"; return 1; }
}

says() { contains "$RUN_DIR/out" "$1"; }
warns() { contains "$RUN_DIR/err" "$1"; }
silent() { nothing cat "$RUN_DIR/err"; }

command_line() {
  check "version" ctl 0 version
  check "... is one line" says '^moatctl [0-9]+\.[0-9]+\.[0-9]+$'
  echo "runtime: /bin/true" >"$MOAT_CONFIG"  # runc may be anywhere; this one is everywhere
  check "doctor finds nothing amiss on a machine that runs these tests" ctl 0 doctor -o json
  check "... and tells programs" jq -e 'length > 8 and all(.ok)' "$RUN_DIR/out"
  echo "runtime: /no/runc" >"$MOAT_CONFIG"
  check "a runtime that is not there is a finding" ctl 1 doctor
  check "... with the way out" says 'runtime +FAILED +cannot start /no/runc: .*name another as .runtime. in moat.yaml'
  : >"$MOAT_CONFIG"
  check "version -o json" ctl 0 version -o json
  check "... is JSON" jq -e '.version | type == "string"' "$RUN_DIR/out"
  check "--help" ctl 0 --help
  check "no command is a usage error" ctl 2
  check "an unknown command is a usage error" ctl 2 pss
  check "an unknown option is a usage error" ctl 2 ps --all
  check "an unknown format is a usage error" ctl 2 ps -o yaml
  check "a phase that is none is a usage error" ctl 2 events --phase servee
  check "... which names the one that was meant" warns "serve"
  check "a kind that is none is a usage error" ctl 2 events --kind would-deny
  check "... which names the one that was meant" warns "would_deny"
  check "policy lint needs a file" ctl 2 policy lint
  check "mode needs to know what to do" ctl 2 mode
  check "a mode that cannot be set is a usage error" ctl 2 mode set x learn
  check "... with the ones that can" warns 'not one of audit, enforce'
  check "the mode of a container that is not there is a failure" ctl 3 mode get x
  check "... that says where to look" warns 'no supervised container x \(moatctl ps lists them\)'
}

shim_file() { # PID SOCKET
  printf '{"pid":%d,"namespace":"k8s.io","id":"pod-%d","socket":"%s"}\n' "$1" "$1" "$2" \
    >"$MOAT_STATE_DIR/shims/$1.json"
}

ps_() {
  check "ps without shims" ctl 0 ps
  check "... shows a header" says '^NAMESPACE +ID '
  check "ps -o json without shims" ctl 0 ps -o json
  check "... is an empty array" equals "[]" "$(jq -c . "$RUN_DIR/out")"
  check "ps without a state folder" ctl 0 ps --state-dir "$RUN_DIR/none"
  shim_file 4194303 /nowhere  # the largest number there can be: taken last
  check "a file whose shim is gone" ctl 0 ps -o json
  check "... is not worth a word" silent
  shim_file $$ "$RUN_DIR/nobody"
  check "a shim that does not listen" ctl 0 ps -o json
  check "... is a warning" warns "moatctl: shim $$ .*does not answer"
  check "... on one line" equals 1 "$(wc -l <"$RUN_DIR/err")"
  socat "UNIX-LISTEN:$RUN_DIR/mute,fork" SYSTEM:'sleep 5' &
  STARTED_HERE+=" $!"
  check "(a socket that never answers)" wait_until 5 test -S "$RUN_DIR/mute"
  shim_file $$ "$RUN_DIR/mute"
  check "a shim that does not answer" ctl 0 ps
  check "... is a warning" warns "no answer in time"
  echo '{half' >"$MOAT_STATE_DIR/shims/1.json"
  check "a file that is none" ctl 0 ps -o json
  check "... is a warning with its name" warns 'shims/1\.json'
  rm -r "$MOAT_STATE_DIR/shims"
  : >"$MOAT_STATE_DIR/shims"
  check "a state folder that cannot be read is a failure" ctl 3 ps
}

# event CONTAINER SECOND KIND PHASE [OBJECT]
event() {
  printf '{"schema":"moat.dev/event/v1","time":"2026-01-01T00:00:%sZ","kind":"%s","action":"denied","phase":{"name":"%s"},"rule":{"id":"%s.filesystem.read"},"object":{"type":"file","path":"%s"},"process":{"comm":"python3","pid":7},"container":{"id":"%s"}}\n' \
    "$2" "$3" "$4" "$4" "${5:-/x}" "$1"
}

seconds() { jq -r '.time[17:19]' "$RUN_DIR/out" | paste -sd' '; }

events_once() {
  { event a 01 phase load; event a 04 violation load '/root/.ssh/id_rsa'; } >"$MOAT_LOG_DIR/containers/a.jsonl"
  { event b 02 phase load; event b 03.5 violation load; event b 05 violation serve; } >"$MOAT_LOG_DIR/pods/prod_llm-0_u1/vllm.jsonl"
  check "events" ctl 0 events
  check "... shows a line for each" says '^2026-01-01T00:00:04\.000Z  a +load +violation +load\.filesystem\.read +/root/\.ssh/id_rsa +python3\(7\) +denied$'
  check "events -o json" ctl 0 events -o json
  check "... is in the order of time" equals "01 02 03 04 05" "$(seconds)"
  check "--container" ctl 0 events -o json --container b
  check "... shows its events only" equals "02 03 05" "$(seconds)"
  check "--phase and --kind" ctl 0 events -o json --phase load --kind violation
  check "... both hold" equals "03 04" "$(seconds)"
  printf 'garbage\n{"schema":"moat.dev/event/v1"}\n\xff\xfe\n' >"$MOAT_LOG_DIR/containers/c.jsonl"
  check "lines that are no events" ctl 0 events -o json
  check "... hide no others" equals "01 02 03 04 05" "$(seconds)"
  check "... and are counted" warns '^moatctl: 3 lines were not'
  rm "$MOAT_LOG_DIR/containers/c.jsonl"
  event d 06 violation serve '\u001b[2J\u0007' >"$MOAT_LOG_DIR/containers/d.jsonl"
  check "an object with terminal controls" ctl 0 events --container d
  check "... is shown escaped" equals 0 "$(LC_ALL=C grep -c "[^[:print:]]" "$RUN_DIR/out")"
  check "a log folder that is not there is a failure" ctl 3 events --log-dir "$RUN_DIR/none"
  check "... which names it" warns "$RUN_DIR/none"
}

followed() { (($(wc -l <"$RUN_DIR/followed") >= $1)); }

events_follow() {
  local pod=$MOAT_LOG_DIR/pods/prod_new_u2 file=$MOAT_LOG_DIR/containers/a.jsonl line
  "$MOAT_BIN/moatctl" events -f -o json --kind violation >"$RUN_DIR/followed" 2>"$RUN_DIR/err" &
  local follower=$!
  STARTED_HERE+=" $follower"
  check "-f begins with what is there" wait_until 5 followed 4
  event a 10 violation serve >>"$file"
  check "-f shows what is appended" wait_until 5 followed 5
  mkdir "$pod" && event n 11 violation load >"$pod/server.jsonl"
  check "-f finds new pods" wait_until 5 followed 6
  line=$(event n 12 violation load)
  printf '%s' "${line:0:50}" >>"$pod/server.jsonl"
  sleep 0.2
  check "-f keeps half a line back" equals 6 "$(wc -l <"$RUN_DIR/followed")"
  printf '%s\n' "${line:50}" >>"$pod/server.jsonl"
  check "... until it is whole" wait_until 5 followed 7
  mv "$file" "$file.1" && event a 13 violation serve >"$file"
  check "-f survives rotation" wait_until 5 followed 8
  : >"$file"
  sleep 0.2
  event a 14 violation serve >>"$file"
  check "-f survives truncation" wait_until 5 followed 9
  kill -INT "$follower"
  check "-f ends well on INT" wait "$follower"
  check "... having shown each once, in order" \
    equals "03 04 05 06 10 11 12 13 14" "$(jq -r '.time[17:19]' "$RUN_DIR/followed" | paste -sd' ')"
  "$MOAT_BIN/moatctl" events -f > >(head -n 1 >"$RUN_DIR/one") &
  follower=$!
  STARTED_HERE+=" $follower"
  check "-f ends when nobody reads" wait_until 5 gone "$follower"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

policy_head() { printf 'apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: %s}\nspec:\n' "$1"; }

lint() {
  { policy_head good; echo '  extends: [builtin/python]'; } >"$RUN_DIR/good.yaml"
  { policy_head bad; printf '  extends: [builtin/python]\n  phases:\n    serve:\n      filesytem: {read: []}\n'; } >"$RUN_DIR/bad.yaml"
  { policy_head note; printf '  extends: [builtin/python]\n  phases:\n    serve:\n      network: {access: ["hub.example:443"]}\n'; } >"$RUN_DIR/note.yaml"
  check "lint of a good policy" ctl 0 policy lint "$RUN_DIR/good.yaml"
  check "... says so" says "^$RUN_DIR/good.yaml: ok$"
  check "lint of the shipped profiles" ctl 0 policy lint "$MOAT_SOURCE"/policies/builtin/*.yaml
  check "lint of a bad policy finds something" ctl 1 policy lint "$RUN_DIR/bad.yaml" "$RUN_DIR/good.yaml"
  check "... at its place, with the word that was meant" says "^$RUN_DIR/bad.yaml:8:7: .*'filesystem'"
  check "... and goes on" says "good.yaml: ok$"
  check "an address is noted" ctl 0 policy lint "$RUN_DIR/note.yaml"
  check "... at its place" says "^$RUN_DIR/note.yaml:8:26: note: 'hub\.example:443'"
  check "lint -o json" ctl 1 policy lint -o json "$RUN_DIR/bad.yaml" "$RUN_DIR/note.yaml"
  check "... says the same" jq -e '.[0].ok == false and .[0].findings[0].line == 8
    and .[1].ok == true and .[1].findings[0].severity == "note"' "$RUN_DIR/out"
  check "lint of standard input" from "$RUN_DIR/bad.yaml" ctl 1 policy lint -
  check "... has places, too" says '^<stdin>:8:7: '
  check "lint of a file that is not there is a failure" ctl 3 policy lint "$RUN_DIR/none.yaml" "$RUN_DIR/good.yaml"
  check "... which names it" warns "$RUN_DIR/none.yaml"
  check "lint of noise finds something" from /dev/urandom head_of 4096 ctl 1 policy lint -
}

from() { "${@:2}" <"$1"; }
head_of() { head -c "$1" >"$RUN_DIR/head" && from "$RUN_DIR/head" "${@:2}"; }

hooks() {
  local socket state
  socket=$MOAT_STATE_DIR/$(printf 'k8s.io/c1' | sha256sum | cut -c1-16).sock
  state='{"ociVersion":"1.0.2","id":"c1","status":"stopped","bundle":"/run/x/k8s.io/c1"}'
  : >"$socket"
  : >"$MOAT_STATE_DIR/other.sock"
  echo "$state" >"$RUN_DIR/state.json"
  check "poststop" from "$RUN_DIR/state.json" hook 0 poststop
  check "... removes the container's socket" test ! -e "$socket"
  check "... and nothing else" test -e "$MOAT_STATE_DIR/other.sock"
  check "poststop again" from "$RUN_DIR/state.json" hook 0 poststop
  check "... has nothing to say" silent
  check "poststop on noise must not fail a deletion" from /dev/null hook 0 poststop
  check "... but says so" warns '^moat-hook: poststop: '
  check "poststop on endless input" from /dev/zero hook 0 poststop
  check "hook without a command" hook 2
  check "hook version" hook 0 version
  check "phase without a listener" hook 3 phase serve
  check "... says so on one line" warns '^moat-hook: moat does not listen here: MOAT_NOTIFY_SOCKET'
  check "phase that is none" hook 2 phase servee
  check "... names the one that was meant" warns "serve"
  socat -u "UNIX-LISTEN:$RUN_DIR/notify" "OPEN:$RUN_DIR/told,creat" &
  STARTED_HERE+=" $!"
  check "(a listener)" wait_until 5 test -S "$RUN_DIR/notify"
  check "phase with a listener" env MOAT_NOTIFY_SOCKET="$RUN_DIR/notify" "$MOAT_BIN/moat-hook" phase serve
  check "... tells it" wait_until 5 grep -qx 'phase serve' "$RUN_DIR/told"
}

begin
command_line
ps_
events_once
events_follow
lint
hooks
say "$((CHECKED - BROKEN)) of $CHECKED checks hold"
((BROKEN == 0)) || die "$BROKEN checks failed"
