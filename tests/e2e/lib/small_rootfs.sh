# shellcheck shell=bash
# A root file system of a few programs of this machine, for tests that need a container and no more.

SMALL_PROGRAMS=(sh sleep cat echo true head wc ps ls kill touch)

# small_rootfs DIR
small_rootfs() {
  local dir=$1 name program library
  mkdir -p "$dir"/{bin,dev,etc,proc,sys,tmp}
  for name in "${SMALL_PROGRAMS[@]}"; do
    program=$(type -P "$name") || continue
    cp -L "$program" "$dir/bin/$name"
    while read -r library; do
      mkdir -p "$dir$(dirname "$library")"
      [[ -e $dir$library ]] || cp -L "$library" "$dir$library"
    done < <(ldd "$program" 2>/dev/null | grep -oE '/[^ ]+')
  done
}

# small_image ROOTFS NAME [PROGRAM]: the same as an image in the private containerd, of one layer.
small_image() {
  local dir layer
  dir=$(mktemp -d "$RUN_DIR/image.XXXX")
  tar -C "$1" -cf "$dir/layer.tar" .
  layer=$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"%s","os":"linux","config":{"Cmd":["%s"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(dpkg --print-architecture)" "${3:-/bin/sh}" "$layer" >"$dir/config.json"
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$2" >"$dir/manifest.json"
  tar -C "$dir" -cf "$dir/image.tar" manifest.json config.json layer.tar
  ctr_ image import --digests --snapshotter overlayfs "$dir/image.tar" >/dev/null
  rm -rf "$dir"
}
