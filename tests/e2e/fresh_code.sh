#!/usr/bin/env bash
# A policy that takes @jit from the phases after init: no memory is written and then run, by any way
# there is; libraries are loaded as ever. With @jit, which is in every shipped phase, nothing is asked.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

PLACES=(main thread)
WAYS=(code_map code_shared code_protect code_pkey code_copy code_shm)
# Not by registers: noexec on /dev and on scratch places, no memory files, the filter.
OTHERS=(code_zero code_zero_late code_scratch code_memfd code_implied)

make_policies() {
  local phase
  {
    printf '%s\n' 'apiVersion: moat.dev/v1alpha1' 'kind: LifecyclePolicy' 'metadata: {name: nojit}' \
      'spec:' '  extends: [builtin/python]' '  phases:'
    for phase in load warmup serve reload shutdown; do
      printf '    %s: {filesystem: {exec: ["@image"]}}\n' "$phase"
    done
  } >"$MOAT_POLICY_DIR/nojit.yaml"
}

serve_with() {
  start_server "$1" "$MOAT" none --annotation "moat.dev/mode=$2" \
    --annotation "moat.dev/profile=$3" --annotation moat.dev/model-paths=/models \
    -- --first code_protect
  wait_for "$1" '^listening$' || return 1
  wait_for_phase "$1" serve || return 1
  predict >"$RUN_DIR/answer"
}

everything() {
  for one in "${WAYS[@]}" "${OTHERS[@]}"; do orders "$one" load request:1; done
  orders honest load request:1
}
results() { sed -nE "s/^attempt ($2) phase=($3) place=[a-z]+ (.*)/\1 \3/p" "$RUN_DIR/$1.out" | sort -u; }
each() { for one in "${@:2}"; do echo "$one $1"; done | sort; }
any() { paste -sd'|' <<<"${*// /|}" | tr ' ' '|'; }
told() {
  events "$1" 'select(.kind == $kind and .object.path == "/anon:") | .process.comm' --arg kind "$2" | sort -u
}

without() {
  check "without: the server loads, listens and answers" serve_with without enforce node/nojit < <(everything)
  [[ $HELD ]] || { stop_container without "$CTR_PID"; return; }
  check "without: init may" equals "code_protect result=ok" "$(results without code_protect init)"
  check "without: nothing is run that was written, afterwards" nothing grep -E '^attempt .* phase=(load|serve) .*result=ok' "$RUN_DIR/without.out"
  check "without: the registers say so by the policy's error" same <(each errno=EACCES "${WAYS[@]}") \
    <(results without "$(any "${WAYS[*]}")" load)
  check "without: and it is reported" nothing comm -23 <(printf '%s\n' "${WAYS[@]}" | sort) <(told without violation)
  check "without: everything else works, but for fresh code" equals "fresh_code" \
    "$(grep '^honest ' "$RUN_DIR/without.out" | grep -v 'result=ok$' | awk '{print $2}' | sort -u)"
  stop_container without "$CTR_PID"
}

watched() {
  check "audit: the server loads, listens and answers" serve_with audit audit node/nojit < <(everything)
  check "audit: nothing is refused" nothing grep -E '^attempt code_.*errno=' "$RUN_DIR/audit.out"
  check "audit: and it is reported" nothing comm -23 <(printf '%s\n' "${WAYS[@]}" | sort) <(told audit would_deny)
  stop_container audit "$CTR_PID"
}

with() {
  check "with: the server loads, listens and answers" serve_with with enforce builtin/python < <(everything)
  check "with: code is made in every phase" same <(each result=ok code_copy code_map code_pkey code_protect code_shared code_shm) \
    <(results with "$(any "${WAYS[*]}")" 'load|serve')
  check "with: what is no JIT compiler's way stays closed" nothing grep -E '^attempt (code_zero|code_scratch|code_memfd|code_implied) phase=(load|serve) .*result=ok' "$RUN_DIR/with.out"
  check "with: nobody is asked" nothing told with violation
  stop_container with "$CTR_PID"
}

begin_e2e "$@"
make_image
make_policies
without
watched
with
conclude
