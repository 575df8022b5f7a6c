#!/usr/bin/env bash
# Two hundred containers that come and go, in one shim and in shims of their own: what the node has
# afterwards is what it had before.
# shellcheck disable=SC2034  # what one part sets another reads
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,leftovers,daemon,order}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

GROUPED=160 AT_ONCE=8 SEPARATE=40

# The machine's, as far as a container can leave something there. Other tests may run beside us: only
# what bears our name counts, but for the mounts of our own folder.
belongings() {
  leftovers
  find "/proc/$(shim_at pod)/fd" -mindepth 1 -printf 'descriptor %l\n' 2>/dev/null | sed 's/[0-9]\+/N/g' | sort
  ps -o args= --ppid "$(shim_at pod)" | sed 's/^/child /'
  find "$RUN_DIR/b/pod" -printf 'bundle %P\n' | sort
}

# lives FROM TO: a script, all side by side; an overlay each, mounted by the shim.
lives() {
  local i
  for method in Create Start Kill Wait Delete; do
    for ((i = $1; i < $2; i++)); do
      case $method in
        Create) echo "& c | Create id=m$i bundle=$RUN_DIR/b/m$i rootfs=bind|$RUN_DIR/rootfs|rbind" ;;
        *) echo "& c | $method id=m$i signal=9" ;;
      esac
    done
    echo join
  done
}

bundle_of() { new_bundle "$1" '.annotations["io.containerd.runc.v2.group"] = "pod" | .root.path = "rootfs"'; }

grouped() {
  local i j memory
  bundle_of pod
  mkdir "$RUN_DIR/b/pod/rootfs"
  start_by_hand pod
  play <<<"p | Create id=pod bundle=$RUN_DIR/b/pod rootfs=bind|$RUN_DIR/rootfs|rbind
s | Start id=pod" >/dev/null
  for ((i = 0; i < AT_ONCE; i++)); do bundle_of "m$i"; done
  lives 0 "$AT_ONCE" | play >/dev/null  # what the first ones warm up is not theirs
  belongings >"$RUN_DIR/before"
  memory=$(awk '/^VmRSS/ {print $2}' "/proc/$(shim_at pod)/status")
  for ((i = 0; i < GROUPED; i += AT_ONCE)); do
    lives 0 "$AT_ONCE" | play || true
  done >"$RUN_DIR/grouped"
  check "$GROUPED containers in one shim, $AT_ONCE at a time: all $((5 * GROUPED)) calls succeed" equals $((5 * GROUPED)) \
    "$(grep -c '^c | OK' "$RUN_DIR/grouped")"
  wait_until 5 settled || true
  check "processes, mounts, cgroups, files and descriptors are as before" same "$RUN_DIR/before" "$RUN_DIR/after"
  memory=$(($(awk '/^VmRSS/ {print $2}' "/proc/$(shim_at pod)/status") - memory))
  check "its memory has not grown with them ($memory kB)" test "$memory" -lt 1024
  printf -- '- | Kill id=pod signal=9\n- | Wait id=pod\n- | Delete id=pod\n- | Shutdown id=pod\n' | play
}

settled() { belongings >"$RUN_DIR/after" && cmp -s "$RUN_DIR/before" "$RUN_DIR/after"; }

# separate_life ID: prints its calls that fail.
separate_life() {
  LOG_READERS=()
  start_by_hand "$1" || return 0
  {
    lives "${1#m}" "$((${1#m} + 1))"
    echo "& c | Shutdown id=$1"
  } | play | grep -v ' | OK | ' || true
  delete_by_hand "$1" >/dev/null || true
  stop_log_readers
}

separate() {
  local i j
  for ((i = 0; i < SEPARATE; i += 4)); do
    for ((j = i; j < i + 4; j++)); do
      rm -rf "$RUN_DIR/b/m$j"
      new_bundle "m$j" '.root.path = "rootfs"'
      separate_life "m$j" &
    done
    wait_for_lives
  done >"$RUN_DIR/separate" 2>&1
  check "$SEPARATE containers with shims of their own: every call succeeds, delete warns of nothing" equals "" "$(<"$RUN_DIR/separate")"
  check "nothing is left of them" leaves_nothing
}

# Not for the sink and the log's readers, which go on.
wait_for_lives() {
  local job
  for job in $(jobs -p); do
    [[ $job == "$SINK_PID" || " ${LOG_READERS[*]} " == *" $job "* ]] || wait "$job"
  done
}

begin_by_hand "$@"
grouped
separate
check "all events of this run are in order" nothing disorder "$RUN_DIR/events"
conclude
