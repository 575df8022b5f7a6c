#!/usr/bin/env bash
# Siblings change paths, links, addresses, messages and descriptors while calls are made, and the
# policy allows one of the two: without a guard, and against one that reads, checks and lets go on,
# each race is won; in enforce none, in a hundred thousand tries (ten thousand that start programs).
# MOAT_RACES: so many times the tries; without it each race also has an end after some seconds.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,victims,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done
SERVER=$MOAT_BIN/victims/race
TIMES=${MOAT_RACES:-1}
SECONDS_EACH=60 SHARE=4  # the part of the tries that a busy machine must have made by then
[[ -z ${MOAT_RACES:-} ]] || SECONDS_EACH=86400 SHARE=1

# What is won in enforce (README): nothing but the claimed path stands before a named pipe.
ADMITTED=(pipe_write)
# In enforce there is no decoy: without descriptors of its own, and /proc cannot be written.
WITHOUT_DECOY=(apart_write own_memory)

make_race_image() {
  IMAGE=$RUN_DIR/w/image
  mkdir -p "$IMAGE"/{bin,dev,proc,sys,run,tmp,etc,models,data,opt/decoy,mnt/second,var/log,var/tmp,root}
  chmod 1777 "$IMAGE/tmp" "$IMAGE/var/tmp"
  local name
  for name in model_server decoy target; do install -m 755 "$SERVER" "$IMAGE/bin/$name"; done
  for name in target linked removed; do echo "$name" >"$IMAGE/data/$name"; done
  echo decoy >"$IMAGE/opt/decoy/open"
  mkfifo "$IMAGE/data/pipe"
  for name in /bin/sh $(ldd /bin/sh | grep -o '/[^ ]*'); do install -D -m 755 "$(realpath "$name")" "$IMAGE$name"; done
}

# What is refused without a word costs less, and is refused by the same hands.
make_race_policy() {
  local phase
  {
    cat <<'END'
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: race}
spec:
  extends: [builtin/python]
  phases:
END
    for phase in load serve; do
      cat <<END
    $phase:
      filesystem:
        read: {allow: ["+"], quiet: ["/root/**", "/mnt/**"]}
        modify: {allow: ["+"], quiet: ["/data/**", "/root/**", "/proc/*/mem"]}
      network: {access: ["+", "127.0.0.1:9998"]}
      process: {exec: {allow: [/bin/decoy], quiet: [/bin/target]}}
END
    done
  } >"$MOAT_POLICY_DIR/race.yaml"
}

# race_in ID RUNTIME MODE WORD...: what the harness says is in ID.out.
race_in() {
  local id=$1 runtime=$2 mode=$3 options=()
  [[ -z $mode ]] || options=(--annotation "moat.dev/mode=$mode"
    --annotation moat.dev/profile=node/race --annotation moat.dev/model-paths=/models)
  start_server "$id" "$runtime" none "${options[@]}" \
    --mount "type=bind,src=$RUN_DIR/w/$id/rootfs/root/.ssh,dst=/mnt/second,options=rbind" \
    -- "${@:4}" <<<"a model"
  wait_until $((300 * TIMES)) gone "$CTR_PID" || stop_container "$id" "$CTR_PID"
  wait "$CTR_PID" || true
  cp "$RUN_DIR/$id.out" "$RUN_DIR/$id.races"
}
finished() { contains "$RUN_DIR/$1.races" '^all raced$'; }

# field ID RACE NAME: a number of a race's line.
field() { sed -n "s/^race $2 .*\<$3=\([0-9]*\).*/\1/p" "$RUN_DIR/$1.races"; }
RACES=()

unwon() {
  local name
  for name in "${RACES[@]}"; do
    (($(field "$1" "$name" wins) > 0)) || grep "^race $name " "$RUN_DIR/$1.races"
  done
}
won() {
  grep -vE ' wins=0$' "$RUN_DIR/$1.races" | grep '^race ' | grep -vE "^race ($(IFS='|'; echo "${ADMITTED[*]}")) " || true
}
undecoyed() {
  local name
  for name in "${RACES[@]}"; do
    [[ " ${WITHOUT_DECOY[*]} " == *" $name "* ]] || (($(field "$1" "$name" decoys) > 0)) || echo "$name"
  done
}
# too_few ID TRIES PROGRAM-TRIES: races with fewer, where seconds are no excuse.
too_few() {
  local name least
  for name in "${RACES[@]}"; do
    least=$2
    [[ $name != exec_* ]] || least=$3
    (($(field "$1" "$name" tries) >= least)) || grep "^race $name " "$RUN_DIR/$1.races"
  done
}

shows() { say "        $(sed -nE "s/^race ([a-z_]+) tries=([0-9]+) .*wins=([0-9]+)$/\1 \3 of \2,/p" "$RUN_DIR/$1.races" | paste -sd' ')"; }

unguarded() {
  race_in stock "$STOCK" '' run 100000 10000 5 20
  check "without a guard: the races are run" finished stock
  check "without a guard: each is won" nothing unwon stock
  shows stock
  race_in naive "$STOCK" '' naive 100000 10000 10 5
  check "checked and let go on: the races are run" finished naive
  check "checked and let go on: each is won, on this machine" nothing unwon naive
  shows naive
}

guarded() {
  race_in enforce "$MOAT" enforce run $((100000 * TIMES)) $((10000 * TIMES)) "$SECONDS_EACH" 0
  check "enforce: the races are run" finished enforce
  check "enforce: not one is won" nothing won enforce
  check "enforce: what is allowed came true in each" nothing undecoyed enforce
  check "enforce: each had tries enough" nothing too_few enforce $((100000 * TIMES / SHARE)) \
    $((10000 * TIMES / SHARE))
  check "enforce: nothing outside was changed" nothing changed
  check "enforce: no canary of another heard a thing" nothing cat "$WORLD/canary"
  shows enforce
}
changed() {
  cmp "$IMAGE/data/target" "$WORLD/rootfs/data/target" 2>&1
  (cd "$WORLD/upper" && find data root -type f ! -path root/.ssh/id_rsa ! -path root/.ssh/authorized_keys)
  grep -vxF "ssh-ed25519 AAAA-planted owner@example" "$WORLD/rootfs/root/.ssh/authorized_keys"
}

# From before the artifact: without a guard it is used after, in enforce the artifact stays closed
# while it is there, or it is of no use.
held() {
  local what opened
  for what in descriptor map memory opening; do
    race_in "free_$what" "$STOCK" '' held "$what"
    check "$what from init: without a guard it can be used after the artifact is open" \
      contains "$RUN_DIR/free_$what.races" '^held .* opened=yes .* wins=[1-9]'
    race_in "held_$what" "$MOAT" enforce held "$what"
    opened='E[A-Z]+'
    [[ $what != opening ]] || opened=yes
    check "$what from init: in enforce not" \
      contains "$RUN_DIR/held_$what.races" "^held .* opened=$opened .* wins=0\$"
    say "        $(cat "$RUN_DIR/held_$what.races")"
  done
}

begin_e2e "$@"
[[ -x $SERVER ]] || die "$SERVER is not built; run tests/run.sh --build-only" 2
make_race_image
make_race_policy
mapfile -t RACES < <("$SERVER" list)
unguarded
held
guarded
conclude
