#!/usr/bin/env bash
# A served model tries every way around its boundary, in `load` and in `serve`: under the stock
# runtime, so that it is known what would succeed; in enforce, where nothing may; in audit, where
# everything must be told.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done
SERVER=$MOAT_BIN/victims/bypass

# As much privilege as this machine has to give: what then refuses is moat, not a capability that is
# not there. The numbers are those of linux/capability.h.
declare -A PRIVILEGES=([DAC_READ_SEARCH]=2 [NET_ADMIN]=12 [NET_RAW]=13 [IPC_LOCK]=14 [SYS_MODULE]=16
  [SYS_RAWIO]=17 [SYS_PTRACE]=19 [SYS_PACCT]=20 [SYS_ADMIN]=21 [SYS_BOOT]=22 [SYS_RESOURCE]=24
  [SYS_TIME]=25 [MKNOD]=27 [SYSLOG]=34 [PERFMON]=38 [BPF]=39)
PRIVILEGE=()
for name in "${!PRIVILEGES[@]}"; do
  ! has_capability "${PRIVILEGES[$name]}" || PRIVILEGE+=(--cap-add "CAP_$name")
done

# What succeeds in enforce, and why that is as it is. A row a line: the names, then the reason.
admitted() {
  cat <<'END'
pipe_read: no mark sees a named pipe that is opened (README)
mem_read environ_read: reads below /proc are not seen (README)
END
}

# What audit cannot tell, though enforce refuses it.
unseen() {
  cat <<'END'
i386_getpid i386_open i386_socketcall i386_execve x32_getpid x32_open: the caller dies, in audit, too
beyond: no kernel has such calls
listener memfd_unsealed: the kernel itself refuses
clone3_plain clone3_mounts clone3_cgroup: C libraries make every thread with it, and its flags are memory
held_mode held_owner held_times held_attribute held_flags: without a path there is no notification
tcp_before passed_tcp: nothing but write() on what was connected in init, which a health event names
attribute_at attribute_file new_tree_attr: an older libseccomp under runc does not know their names
map_tmp map_shm map_tmpfile: a map of a file, of which only its mount knows what it is
socket_file: bind to a name is never asked about
unix_held: sendmsg is asked about only with MSG_FASTOPEN, and from init on there was a name to send to
udp_before passed_udp: nothing but write() on what was connected in init
fuse_made memory_made null_made: who may make a node in a scratch place is asked, the device cgroup refuses its use
score: the policy names the file; that it is another process's is for the kernel to tell
END
}
names_of() { "$1" | cut -d: -f1 | tr ' ' '\n' | sort; }
reason_of() { "$1" | grep -w -- "$2" | cut -d: -f2-; }

# Where nothing may be sent or listened for in `serve`, so that this can be attempted there; and
# without what libraries need it for, nobody runs memory that was written.
make_policy() {
  cat >"$MOAT_POLICY_DIR/attack.yaml" <<END
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: attack}
spec:
  extends: [builtin/python]
  phases:
    load: {filesystem: {exec: ["@image"]}}
    warmup: {filesystem: {exec: ["@image"]}}
    serve:
      filesystem: {exec: ["@image"]}
      network: {access: []}
END
}

# try_all ID RUNTIME [MODE]
try_all() {
  local id=$1 runtime=$2 mode=${3:-} options=()
  [[ -z $mode ]] || options=(--annotation "moat.dev/mode=$mode"
    --annotation moat.dev/profile=node/attack --annotation moat.dev/model-paths=/models)
  start_server "$id" "$runtime" none "${PRIVILEGE[@]}" "${options[@]}" \
    --mount type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=rw <<<"a model"
  wait_for "$id" '^listening$' || return 1
  [[ -z $mode ]] || wait_for_phase "$id" serve || return 1
  predict 60 >"$RUN_DIR/$id.answer" || return 1
  wait_until 5 effects_settled "$id"
  secret_escaped "$id" >"$RUN_DIR/$id.escaped"
  sed -n 's/^bypass //p' "$RUN_DIR/$id.out" | sort >"$RUN_DIR/$id.results"
}

# What reaches the canary is written down by another process, a moment later.
effects_settled() {
  effects "$1" >"$RUN_DIR/$1.effects"
  sleep 0.3
  effects "$1" | cmp -s - "$RUN_DIR/$1.effects"
}

finish() { stop_container "$1" "$CTR_PID"; }
expected_tries() { "$SERVER" list | awk '{n += NF == 1 ? 2 : 1} END {print n}'; }
all_tried() { equals "$(expected_tries)" "$(grep -cE ' (succeeded|refused .+|killed .+|absent)$' "$RUN_DIR/$1.results")"; }
succeeded() { sed -n 's/ succeeded$//p' "$RUN_DIR/$1.results"; }

# without TABLE: lines "PHASE NAME …" whose name is not in it.
without() { awk 'FNR == NR {known[$1]; next} !($2 in known)' <(names_of "$1") -; }
# The names in effects: "file data/NAME.PHASE", "says NAME.PHASE", "canary NAME.PHASE".
foreign_effects() {
  grep -vxE 'canary connection|file data' "$RUN_DIR/$1.effects" |
    sed -E 's/^([a-z]+) (.*\/)?([a-z0-9_]+)\.(load|serve)/\1 \3 \4 &/' | without admitted
}

stock() {
  check "stock: the server runs" try_all stock "$STOCK"
  [[ $HELD ]] || die "the machine cannot show the attempts at all"
  finish stock
  check "stock: everything is tried" all_tried stock
  local count
  count=$(succeeded stock | wc -l)
  check "stock: most of it succeeds: $count of $(expected_tries)" test "$count" -gt $(($(expected_tries) / 2))
  say "        not on this machine: $(grep -v ' succeeded$' "$RUN_DIR/stock.results" |
    awk '{print $2 "(" ($4 ? $4 : $3) ")"}' | sort -u | paste -sd' ')"
  check "stock: the secret escapes, files are changed, programs run, the canary hears" all_kinds
}
all_kinds() {
  test -s "$RUN_DIR/stock.escaped" && contains "$RUN_DIR/stock.effects" '^file data/create.load' &&
    contains "$RUN_DIR/stock.effects" '^says shell.serve' && contains "$RUN_DIR/stock.effects" '^canary tcp.load'
}

enforce() {
  local name
  check "enforce: the server loads, listens and answers" try_all enforce "$MOAT" enforce
  finish enforce
  [[ $HELD ]] || return 0
  check "enforce: everything is tried" all_tried enforce
  check "enforce: nothing succeeds" nothing without admitted < <(succeeded enforce)
  check "enforce: nothing shows from outside" nothing foreign_effects enforce
  check "enforce: the secret is nowhere to be found" nothing cat "$RUN_DIR/enforce.escaped"
  check "enforce: callers of other tables of system calls die" nothing grep -E ' (i386|x32)_[a-z]+ (succeeded|refused)' "$RUN_DIR/enforce.results"
  check "enforce: no report was dropped" equals 0 "$(count_kind enforce drop)"
  for name in $(names_of admitted); do
    if succeeded enforce | grep -qw -- "$name"; then say "        succeeds: $name:$(reason_of admitted "$name")"
    else say "        refused by now, and need not be admitted: $name"
    fi
  done
}

# These differ from the stock runtime by their nature: see unseen(), and a tracer that is itself under
# a filter may not suspend another's.
in_audit_differ() { grep -vwE 'i386_[a-z0-9]+|x32_[a-z0-9]+|listener|trace_suspend' "$1"; }
same_results() { diff <(in_audit_differ "$RUN_DIR/stock.results") <(in_audit_differ "$RUN_DIR/audit.results"); }

# Attempts that succeeded, or would have where the machine has what they need, and were not told.
untold() {
  events audit 'select(.kind == "would_deny") | "\(.phase.name) \(.process.comm)"' | sort -u >"$RUN_DIR/told"
  grep -v ' absent$' "$RUN_DIR/audit.results" | awk '{print $1, $2}' | sort -u | comm -23 - "$RUN_DIR/told" |
    without unseen | without admitted
}

audit() {
  check "audit: the server loads, listens and answers" try_all audit "$MOAT" audit
  finish audit
  [[ $HELD ]] || return 0
  check "audit: everything is tried" all_tried audit
  check "audit: everything has the result it has under the stock runtime" same_results
  check "audit: everything is told" nothing untold
  check "audit: nothing is refused" equals 0 "$(count_kind audit violation)"
  check "audit: no report was dropped" equals 0 "$(count_kind audit drop)"
}

begin_e2e "$@"
[[ -x $SERVER ]] || die "$SERVER is not built; run tests/run.sh --build-only" 2
make_image
install -m 4755 "$SERVER" "$IMAGE/bin/set_user_id"
make_policy
check "attempts have names that fit a thread" nothing awk 'length($1) > 15' < <("$SERVER" list)
stock
enforce
audit
conclude
