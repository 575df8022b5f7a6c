#!/usr/bin/env bash
# A server that tries everything in every phase, under the stock runtime (to know that the attempts
# would succeed), in enforce (not one may), in audit and off (nothing may change).
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports,everything}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

# What the table promises of the stock runtime.
expected_effects() {
  local name rule effect phase place tag
  while read -r name rule effect; do
    for phase in load serve; do
      for place in "" -thread -child; do
        tag=$name.$phase$place
        case $effect in
          file) if [[ $name == append ]]; then echo "file authorized_keys:$tag"; else echo "file data/$tag"; fi ;;
          says) echo "says $tag" ;;
          canary) echo "canary $tag" ;;
        esac
      done
    done
  done <"$ATTEMPTS"
}

missing_effects() { comm -23 <(expected_effects | sort -u) <(sort -u "$RUN_DIR/stock.effects"); }

# The filter lists one ABI only, in every mode: callers of another one die (documented).
without_abi() { grep -vE "^attempt ($(awk '$2 == "abi" {print $1}' "$ATTEMPTS" | paste -sd'|')) " "$1"; }
same_results() { diff <(without_abi "$RUN_DIR/stock.attempts") <(without_abi "$RUN_DIR/$1.attempts"); }

honest_works() {
  check "$1: every honest action works, in every phase and place" nothing not_ok "$1"
  check "$1: as many honest actions were made as under the stock runtime" \
    equals "$(lines_of "$RUN_DIR/stock.honest")" "$(lines_of "$RUN_DIR/$1.honest")"
}

leaks() { grep '^fd ' "$RUN_DIR/$1.out" | grep -vE '^fd [012] (pipe:|/dev/null$)' || true; }
environment_leaks() {
  tr '\0' '\n' <"/proc/$(<"$RUN_DIR/$1.pid")/environ" | grep -iE 'moat|libcontainer|listen|seccomp' || true
}

stock() {
  check "the server runs under the stock runtime" run_all stock "$STOCK" none
  finish stock
  [[ $HELD ]] || die "the machine cannot show the attempts at all"
  check "stock: every attempt whose effect can be seen has it" nothing missing_effects
  check "stock: every attempt was made" equals "$(($(lines_of "$ATTEMPTS") * 6))" "$(lines_of "$RUN_DIR/stock.attempts")"
  say "        $(grep -c ' result=ok$' "$RUN_DIR/stock.attempts") of $(lines_of "$RUN_DIR/stock.attempts") attempts succeed without moat; not on this machine: $(
    grep -v ' result=ok$' "$RUN_DIR/stock.attempts" | awk '{print $2 "(" $5 ")"}' | sort -u | paste -sd' ')"
  honest_works stock
}

enforce() {
  check "enforce: the server loads, listens and answers" run_all enforce "$MOAT" enforce
  [[ $HELD ]] || { finish enforce; return; }
  check "enforce: nothing of moat is open in the container" nothing leaks enforce
  check "enforce: nothing of moat is in the container's environment" nothing environment_leaks enforce
  [[ ${MOAT_CHROOT:-} ]] || check "enforce: a session works" session enforce
  [[ ${MOAT_CHROOT:-} ]] || check "enforce: nothing of moat is open in the session" nothing grep -vE '^fd [012] (pipe:|/dev/null$)' "$RUN_DIR/enforce.session"
  finish enforce
  check "enforce: not one effect" nothing cat "$RUN_DIR/enforce.effects"
  check "enforce: the secret is nowhere to be found" nothing cat "$RUN_DIR/enforce.escaped"
  check "enforce: not one attempt succeeded" nothing succeeded enforce
  check "enforce: every attempt was made" equals "$(lines_of "$RUN_DIR/stock.attempts")" "$(lines_of "$RUN_DIR/enforce.attempts")"
  honest_works enforce
  check "enforce: each attempt is reported, with phase, process, object and rule" nothing unreported enforce violation decided
  check "enforce: nothing honest is reported" nothing groundless enforce
  check "enforce: the phases" equals "load serve shutdown" "$(phases_of enforce)"
  check "enforce: no would-denies" equals 0 "$(count_kind enforce would_deny)"
  check "enforce: no report was dropped" equals 0 "$(count_kind enforce drop)"
  [[ ${MOAT_CHROOT:-} ]] || check "enforce: the session is an event" equals s1 "$(events enforce 'select(.kind == "session") | .exec_id' | paste -sd' ')"
}

audit() {
  check "audit: the server loads, listens and answers" run_all audit "$MOAT" audit
  [[ $HELD ]] || { finish audit; return; }
  finish audit
  check "audit: every attempt has the result it has under the stock runtime" same_results audit
  check "audit: every effect takes place" same "$RUN_DIR/stock.effects" "$RUN_DIR/audit.effects"
  honest_works audit
  check "audit: each attempt is reported, with phase, process, object and rule" nothing unreported audit would_deny all
  check "audit: nothing honest is reported" nothing groundless audit
  check "audit: nothing is refused" equals 0 "$(count_kind audit violation)"
  check "audit: the phases" equals "load serve shutdown" "$(phases_of audit)"
}

off() {
  check "off: the server loads, listens and answers" run_all off "$MOAT" off
  [[ $HELD ]] || { finish off; return; }
  check "off: there is a shim" equals 1 "$(shim_of off | wc -l)"
  check "off: there is no supervisor" nothing supervisor_of off
  finish off
  check "off: every attempt has the result it has under the stock runtime" same "$RUN_DIR/stock.attempts" "$RUN_DIR/off.attempts"
  check "off: every effect takes place" same "$RUN_DIR/stock.effects" "$RUN_DIR/off.effects"
  check "off: nothing is reported" nothing events off .
}

begin_e2e "$@"
make_image
stock
enforce
audit
off
conclude
