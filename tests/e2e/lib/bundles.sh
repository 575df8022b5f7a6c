# shellcheck shell=bash
# Shims that are started by hand, as containerd would, in bundles of our own.

# shim_call SOCKET METHOD ID [BUNDLE]
shim_call() { "$MOAT_BIN/tools/shim_call" "$@"; }

# make_bundle ID: a bundle that could be run, in RUN_DIR/b/ID; with an empty root file system.
make_bundle() {
  local dir=$RUN_DIR/b/$1
  mkdir -p "$dir/rootfs"
  "$MOAT_TOOLS/usr/sbin/runc" spec --bundle "$dir"
  jq --arg group "/$CTR_NAMESPACE/$1" '.process.terminal = false | .linux.cgroupsPath = $group
    | .annotations["moat.dev/mode"] = "enforce"' "$dir/config.json" >"$dir/new"
  mv "$dir/new" "$dir/config.json"
}

# start_shim ID: makes its bundle, and prints the path of its socket. PATH_OF_SHIM: instead of PATH.
start_shim() {
  make_bundle "$1"
  (
    cd "$RUN_DIR/b/$1" || exit
    PATH=${PATH_OF_SHIM:-$TOOLS_PATH:$PATH} "$MOAT_BIN/containerd-shim-moat-v2" -namespace "$CTR_NAMESPACE" \
      -address "$RUN_DIR/c" -publish-binary /bin/true -id "$1" start </dev/null
  ) | sed 's|^unix://||'
}
