#!/usr/bin/env bash
# What a daemon of every generation writes to `start`, and what it gets: protobuf in and out since
# containerd 2.3, runtime options in and a plain address out before; then the calls of both versions.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,leftovers,daemon}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

bootstrap() { "$MOAT_BIN/tools/bootstrap" "$@"; }

# reply ID: `start` in the bundle of ID with what standard input has.
reply() { as_daemon "$SHIM" "$RUN_DIR/b/$1" -id "$1" -bundle "$RUN_DIR/b/$1" "${@:2}" start; }

# whole_life ID VERSION: over the socket at SOCKET.
whole_life() {
  play "$2" <<END
Create | Create id=$1 bundle=$RUN_DIR/b/$1
Connect | Connect id=$1
Start | Start id=$1
Kill | Kill id=$1 signal=9
Wait | Wait id=$1
Delete | Delete id=$1
END
}

answers() { awk -F ' [|] ' '{print $1 "=" $2}' | paste -sd' '; }
GOOD="Create=OK Connect=OK Start=OK Kill=OK Wait=OK Delete=OK"

new_daemon() {
  new_bundle n1
  bootstrap params n1 "$CTR_NAMESPACE" socket_dir="$RUN_DIR/sockets" log_level=-4 |
    reply n1 >"$RUN_DIR/reply" 2>&1 || true
  bootstrap result <"$RUN_DIR/reply" >"$RUN_DIR/result" || true
  check "a new daemon gets version 3, the protocol and an address in its folder" \
    contains "$RUN_DIR/result" "^3 ttrpc unix://$RUN_DIR/sockets/[0-9a-f]{64}\$"
  SOCKET=$(sed 's|.*unix://||' "$RUN_DIR/result")
  check "the bundle leads to the folder" equals "$RUN_DIR/sockets" "$(readlink "$RUN_DIR/b/n1/s")"
  check "and keeps the address for an older daemon" equals "unix://$SOCKET" "$(<"$RUN_DIR/b/n1/address")"
  check "its debug level reaches the server" contains <(tr '\0' ' ' <"/proc/$(shim_at n1)/cmdline") ' -debug '
  check "a second start of the group replies the same" same <(
    bootstrap params n1 "$CTR_NAMESPACE" socket_dir="$RUN_DIR/sockets" | reply n1 | bootstrap result
  ) "$RUN_DIR/result"
  check "a container lives by version 3" equals "$GOOD" "$(whole_life n1 3 | answers)"
  check "and one by version 2, over the same socket" equals "$GOOD" "$(whole_life n1 2 | answers)"
  echo "- | Shutdown id=n1" | play 3
  check "after Shutdown the folder is empty" wait_until 5 is_empty "$RUN_DIR/sockets"
}

is_empty() { [[ -z $(ls -A "$1") ]]; }

old_daemons() {
  new_bundle o1
  bootstrap options runtime=runc | reply o1 >"$RUN_DIR/reply" 2>&1 || true
  check "options of an older daemon: a plain address without a newline" \
    contains <(cat "$RUN_DIR/reply"; echo '|') "^unix://$RUN_DIR/s/[0-9a-f]{64}[|]\$"
  check "and no link in the bundle" test ! -e "$RUN_DIR/b/o1/s"
  SOCKET=$(sed 's|unix://||' "$RUN_DIR/reply")
  check "a container lives by version 2" equals "$GOOD" "$(whole_life o1 2 | answers)"
  echo "- | Shutdown id=o1" | play 2
  check "parameters for another id are not for us: a plain address" contains \
    <(bootstrap params other "$CTR_NAMESPACE" socket_dir="$RUN_DIR/sockets" | reply o1) "^unix://$RUN_DIR/s/"
  check "garbage is an older daemon's: a plain address" contains \
    <(head -c 500 /dev/urandom | reply o1) "^unix://$RUN_DIR/s/"
  stop_shim_of o1
}

# A shim that was started and never used.
stop_shim_of() {
  local pid
  pid=$(shim_at "$1")
  [[ -z $pid ]] || kill "$pid"
  wait_until 5 no_shim_at "$1"
}
no_shim_at() { [[ -z $(shim_at "$1") ]]; }

# refused_link: the folder of sockets cannot be linked, because somebody's folder is in the way.
refused_link() {
  new_bundle l1
  mkdir -p "$RUN_DIR/b/l1/s/full"
  bootstrap params l1 "$CTR_NAMESPACE" socket_dir="$RUN_DIR/sockets" | reply l1 >"$RUN_DIR/reply" 2>&1 || true
  check "a bundle that cannot hold the link: one line" equals "1" "$(grep -c '^moat: start: s: ' "$RUN_DIR/reply")"
  check "and no shim is left" wait_until 5 no_shim_at l1
}

begin_by_hand "$@"
new_daemon
old_daemons
refused_link
check "nothing is left" leaves_nothing
conclude
