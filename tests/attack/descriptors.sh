#!/usr/bin/env bash
# Nothing of shim, supervisor, runtime or listener is open in a container: neither in its first
# process, nor in sessions of any kind, before load and after. And what the pod wanted hidden or
# read-only is so, although config.json was rewritten: by its words and by effect.
# shellcheck disable=SC2016,SC2034  # what one part sets another reads; the container's shell expands
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,kernel,apt,build,containerd} e2e/lib/{checks,small_rootfs,reports}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done
end_world() { :; }  # there is none here
STOCK=io.containerd.runc.v2
MOAT=io.containerd.moat.v2
STDIO='pipe:\[[0-9]+\]|/dev/null|socket:\[[0-9]+\]|/dev/pts/[0-9]+'

# The last line opens the artifact; what is started before may go on.
FIRST='trap "exit 0" TERM; ls -l /proc/self/fd; sleep 1000 & until [ -e /tmp/go ]; do sleep 0.1; done; : </models/model.bin && echo loaded; wait'

# make_root ID: some things to hide and to protect, also below a place that becomes an island.
make_root() {
  local root=$RUN_DIR/w/$1
  small_rootfs "$root"
  mkdir -p "$root"/{models,data/{hidden,fixed},tmp/{hidden,fixed}}
  local place
  for place in data tmp; do
    echo secret | tee "$root/$place/hidden/file" >"$root/$place/hidden.txt"
    echo kept >"$root/$place/fixed/file"
  done
  echo model >"$root/models/model.bin"
}

HIDDEN='["/data/hidden", "/data/hidden.txt", "/tmp/hidden", "/tmp/hidden.txt", "/nowhere"]'
FIXED='["/data/fixed", "/tmp/fixed", "/nowhere"]'

# start ID RUNTIME MODE [ctr option...]: from a document, since ctr has no words for these.
start() {
  local id=$1 runtime=$2 mode=$3
  echo "$id" >>"$RUN_DIR/ids"
  make_root "$id"
  ctr_ oci spec | jq --arg root "$RUN_DIR/w/$id" --arg group "/$CTR_NAMESPACE/$id" --arg mode "$mode" \
    --arg first "$FIRST" --argjson hidden "$HIDDEN" --argjson fixed "$FIXED" '
      .root = {path: $root} | .linux.cgroupsPath = $group | .process.cwd = "/" | .process.env = ["PATH=/bin"]
      | .process.args = ["/bin/sh", "-c", $first]
      | .linux.maskedPaths += $hidden | .linux.readonlyPaths += $fixed
      | if $mode == "" then . else .annotations = {"moat.dev/mode": $mode, "moat.dev/model-paths": "/models"} end' \
    >"$RUN_DIR/$id.json"
  "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" run --rm --runtime "$runtime" "${@:4}" \
    --config "$RUN_DIR/$id.json" --fifo-dir "$RUN_DIR/fifo" --pid-file "$RUN_DIR/$id.pid" "$id" \
    >"$RUN_DIR/$id.out" 2>&1 </dev/null &
  CTR_PID=$!
  wait_until 20 listed "$RUN_DIR/$id.out" || { cat "$RUN_DIR/$id.out"; return 1; }
}
listed() { gone "$CTR_PID" || grep -q ' 2 -> ' "$1"; }

# foreign LISTING: the descriptors of `ls -l /proc/self/fd` that are not the three, nor the listing.
foreign() { grep -oE '[0-9]+ -> .*' "$1" | tr -d '\r' | grep -vxE "[012] -> ($STDIO)|3 -> /proc/[0-9]+/fd" || true; }
# Of the first process, as the machine sees it: nothing can be overlooked from there.
foreign_of() {
  local fd
  for fd in /proc/"$1"/fd/*; do echo "${fd##*/} -> $(readlink "$fd")"; done |
    grep -vxE "[012] -> ($STDIO)|(10|255) -> (pipe:|/).*" || true
}
three() { (($(grep -cE ' [012] -> ' "$1") == 3)); }

session() { timeout 20 "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" task exec --fifo-dir "$RUN_DIR/fifo" --exec-id "$@"; }
on_terminal() {
  printf '%q ' "$MOAT_TOOLS/usr/bin/ctr" -a "$RUN_DIR/c" -n "$CTR_NAMESPACE" task exec -t \
    --fifo-dir "$RUN_DIR/fifo" --exec-id "$@" >"$RUN_DIR/typed"
  timeout 30 script -qec ". $RUN_DIR/typed" /dev/null </dev/null
}

# sessions ID WHEN
sessions() {
  session "plain-$2" "$1" /bin/ls -l /proc/self/fd >"$RUN_DIR/$1.plain.$2" </dev/null || true
  echo input | session "input-$2" "$1" /bin/ls -l /proc/self/fd >"$RUN_DIR/$1.input.$2" || true
  on_terminal "typed-$2" "$1" /bin/ls -l /proc/self/fd >"$RUN_DIR/$1.terminal.$2" || true
  local kind
  for kind in plain input terminal; do
    check "$1, $2: a session ($kind) has its three" three "$RUN_DIR/$1.$kind.$2"
    check "$1, $2: and nothing else" nothing foreign "$RUN_DIR/$1.$kind.$2"
  done
}

# What the container can do with hidden and protected places, in its own words.
EFFECTS='exec 2>&1; for p in /data /tmp; do
  ls $p/hidden; cat $p/hidden.txt; cat $p/hidden/file
  (echo over >$p/fixed/file); (echo over >$p/fixed/new); cat $p/fixed/file
  (echo x >$p/free) && echo free
done
head -c 1 /proc/kcore | wc -c; ls /proc/acpi /sys/firmware
(echo x >/proc/sys/kernel/domainname); (echo x >/proc/sysrq-trigger)'
by_effect() { session effect "$1" /bin/sh -c "$EFFECTS" >"$RUN_DIR/$1.effect" 2>&1 </dev/null || true; }

paths_in() { jq -S '{masked: .linux.maskedPaths, readonly: .linux.readonlyPaths}' "$1"; }
document_of() { echo "$RUN_DIR/state/io.containerd.runtime.v2.task/$CTR_NAMESPACE/$1/config.json"; }
rewritten() { ! cmp -s <(jq -S . "$RUN_DIR/$1.json") <(jq -S . "$(document_of "$1")"); }

# supervised MODE
supervised() {
  local id=fd-$1
  check "$id: the container runs" start "$id" "$MOAT" "$1"
  [[ $HELD ]] || { stop_container "$id" "$CTR_PID"; return; }
  check "$id: nothing foreign is open in its first program" nothing foreign "$RUN_DIR/$id.out"
  check "$id: nor in its first process, seen from the machine" nothing foreign_of "$(<"$RUN_DIR/$id.pid")"
  sessions "$id" init
  check "$id: config.json was rewritten" rewritten "$id"
  check "$id: what was to be masked or read-only is in it, in its order" \
    same <(paths_in "$RUN_DIR/$id.json") <(paths_in "$(document_of "$id")")
  by_effect "$id"
  check "$id: and is so, as under the stock runtime" same "$RUN_DIR/fd-stock.effect" "$RUN_DIR/$id.effect"
  session go "$id" /bin/touch /tmp/go </dev/null || true
  check "$id: the artifact is opened" wait_until 10 grep -q '^loaded' "$RUN_DIR/$id.out"
  check "$id: which begins load" entered "$id" load
  sessions "$id" load
  check "$id: nothing foreign is open in the first process" nothing foreign_of "$(<"$RUN_DIR/$id.pid")"
  stop_container "$id" "$CTR_PID"
}

stock() {
  check "stock: the container runs" start fd-stock "$STOCK" ''
  by_effect fd-stock
  check "stock: what is hidden is hidden, what is fixed stays" nothing grep -E '^(secret|over)$' "$RUN_DIR/fd-stock.effect"
  check "stock: beside it can be written" equals 2 "$(grep -c '^free$' "$RUN_DIR/fd-stock.effect")"
  stop_container fd-stock "$CTR_PID"
}

# A runtime that leaves one open: whether it would be seen at all.
leaking() {
  cat >"$RUN_DIR/leaky" <<END
#!/bin/sh
exec 3</etc/hostname
for word; do
  shift
  set -- "\$@" "\$word"
  case \$word in create|exec) set -- "\$@" --preserve-fds 1 ;; esac
done
exec $MOAT_TOOLS/usr/sbin/runc "\$@"
END
  chmod 755 "$RUN_DIR/leaky"
  echo "BinaryName = \"$RUN_DIR/leaky\"" >"$RUN_DIR/leaky.toml"
  check "leaking: the container runs" start fd-leak "$MOAT" enforce --runtime-config-path "$RUN_DIR/leaky.toml"
  check "leaking: a descriptor that is left open is seen in the first program" \
    contains <(foreign "$RUN_DIR/fd-leak.out") '/etc/hostname$'
  check "leaking: and from the machine" contains <(foreign_of "$(<"$RUN_DIR/fd-leak.pid")") '/etc/hostname$'
  session plain fd-leak /bin/ls -l /proc/self/fd >"$RUN_DIR/fd-leak.plain" </dev/null || true
  check "leaking: and in a session" contains <(foreign "$RUN_DIR/fd-leak.plain") '/etc/hostname$'
  stop_container fd-leak "$CTR_PID"
}

begin_e2e "$@"
stock
supervised enforce
supervised audit
leaking
conclude
