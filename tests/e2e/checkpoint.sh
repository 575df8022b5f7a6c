#!/usr/bin/env bash
# Checkpoint and restore: CRIU through the runtime where nobody supervises, a reason where somebody
# does. Debian 12's CRIU does not know the address space of newer kernels: a newer one is used, with
# the C library it was linked to.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel} e2e/lib/{checks,small_rootfs,bundles}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

CRIU_PACKAGES=(criu libnet9 libnl-3-200 libprotobuf-c1 libnftables1 libnftnl11 libc6 libgnutls30t64 libuuid1
  libbsd0 libmd0 libmnl0 libgmp10 libjansson4 libxtables12 libedit2 libnettle8t64 libhogweed6t64 libp11-kit0
  libidn2-0 libunistring5 libtasn1-6 libffi8 libtinfo6)

begin() {
  need_root "$@"
  fetch_tools
  with_cache_lock fetch_debs sid criu "${CRIU_PACKAGES[@]}"
  RUN_DIR=$(mktemp -d /tmp/moat.XXXXXX)
  trap end_e2e EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  export MOAT_SOCKET_DIR=$RUN_DIR/s
  small_rootfs "$RUN_DIR/rootfs"
  use_criu
  start_containerd "$RUN_DIR"
}
end_world() { :; }

use_criu() {
  local tree=$MOAT_CACHE/tools/criu libraries
  libraries=$(find "$tree" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
  mkdir "$RUN_DIR/bin"
  printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$(find "$tree" -name 'ld-linux-*.so.*' | head -n 1)" \
    "$libraries" "$(find "$tree" -name criu -type f -path '*bin/*')" >"$RUN_DIR/bin/criu"
  chmod 755 "$RUN_DIR/bin/criu"
  export TOOLS_PATH=$RUN_DIR/bin:$TOOLS_PATH
}

# task ID: a bundle whose process counts in a file, and its shim; SOCKET is the shim's.
task() {
  make_bundle "$1"
  mount --bind "$RUN_DIR/rootfs" "$RUN_DIR/b/$1/rootfs"
  # Without a network namespace: its connections would be locked with iptables, which not every
  # machine has.
  jq --arg mode "$2" '.process.args = ["/bin/sh", "-c", "i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep 0.05; done"]
    | .root.readonly = false | .linux.resources = {} | .annotations["moat.dev/mode"] = $mode
    | .linux.namespaces |= map(select(.type != "network"))
    | .linux.maskedPaths = [] | .linux.readonlyPaths = []
    | .mounts |= map(select(.destination == "/proc" or .destination == "/dev"))' \
    "$RUN_DIR/b/$1/config.json" >"$RUN_DIR/new"
  mv "$RUN_DIR/new" "$RUN_DIR/b/$1/config.json"
  SOCKET=$(cd "$RUN_DIR/b/$1" && PATH=$TOOLS_PATH:$PATH "$MOAT_BIN/containerd-shim-moat-v2" -namespace "$CTR_NAMESPACE" \
    -address "$RUN_DIR/c" -publish-binary /bin/true -id "$1" start </dev/null)
  SOCKET=${SOCKET#unix://}
}

script() { "$MOAT_BIN/tools/shim_script" "$SOCKET"; }
count() { cat "$RUN_DIR/rootfs/tmp/count" 2>/dev/null || echo 0; }
counts_past() { (($(count) > $1)); }

begin "$@"
task one off
script >"$RUN_DIR/out" <<END
create | Create id=one bundle=$RUN_DIR/b/one
start | Start id=one
END
check "a container that counts" wait_until 10 counts_past 5
mkdir "$RUN_DIR/image"
script >"$RUN_DIR/out" <<END
checkpoint | Checkpoint id=one path=$RUN_DIR/image exit=yes
wait | Wait id=one
delete | Delete id=one
shutdown | Shutdown id=one
END
check "is saved, and ends" contains "$RUN_DIR/out" '^checkpoint \| OK'
[[ $HELD ]] || tail -n 20 "$RUN_DIR/b/one/criu-dump.log"
saved=$(count)
umount "$RUN_DIR/b/one/rootfs"
task two off
script >"$RUN_DIR/out" <<END
create | Create id=two bundle=$RUN_DIR/b/two checkpoint=$RUN_DIR/image
created | State id=two
start | Start id=two
running | State id=two
END
check "its restored copy has no process before the start" contains "$RUN_DIR/out" '^created \| OK \|.*status=1'
check "runs after it" contains "$RUN_DIR/out" '^running \| OK .*pid=[0-9]+ status=2'
check "and counts on, where it was" wait_until 5 counts_past "$((saved + 3))"
script >"$RUN_DIR/out" <<END
kill | Kill id=two signal=9
wait | Wait id=two
delete | Delete id=two
shutdown | Shutdown id=two
END
check "a restored container ends as any other" contains "$RUN_DIR/out" '^wait .*exit=137'
task three audit
script >"$RUN_DIR/out" <<END
create | Create id=three bundle=$RUN_DIR/b/three
start | Start id=three
checkpoint | Checkpoint id=three path=$RUN_DIR/image
state | State id=three
kill | Kill id=three signal=9
wait | Wait id=three
delete | Delete id=three
shutdown | Shutdown id=three
END
check "a supervised container is not saved, and why" contains "$RUN_DIR/out" \
  "^checkpoint .*FailedPrecondition.*three is supervised and cannot be checkpointed: .* set the annotation moat.dev/mode to off"
check "and runs on" contains "$RUN_DIR/out" '^state \| OK .*pid=[0-9]+ status=2'
conclude
