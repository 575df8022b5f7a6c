#!/usr/bin/env bash
# The shipped binaries start on any node with glibc 2.34 or newer and bring their C++ along.
# Needs MOAT_BUILD, built. Skipped (77) for sanitizer builds, which are not shipped.
set -euo pipefail
: "${MOAT_BUILD:?}"
newest=2.34
not_dynamic='^lib(stdc\+\+|seccomp|yaml-cpp|protobuf|fmt)'
bad=0

complain() {
  echo "$1"
  bad=$((bad + 1))
}

# Prints "VERSION SYMBOL" for each symbol that asks for a newer C library.
too_new() {
  objdump -T "$1" | sed -nE 's/.*\(?GLIBC_([0-9.]+)\)? +(0x[0-9a-f]+ )?([^ ]+)$/\1 \3/p' |
    while read -r version symbol; do
      [[ $(printf '%s\n' "$version" "$newest" | sort -V | tail -1) == "$newest" ]] ||
        echo "$symbol needs GLIBC_$version"
    done
}

for name in containerd-shim-moat-v2 moatctl moat-hook; do
  binary=$MOAT_BUILD/bin/$name
  if [[ ! -f $binary ]]; then
    complain "$name: not in $MOAT_BUILD/bin"
    continue
  fi
  symbols=$(objdump -T "$binary")
  if grep -q '__asan_init' <<<"$symbols"; then
    echo "skipped: a sanitizer build is not shipped"
    exit 77
  fi
  grep -q 'GLIBC_' <<<"$symbols" || complain "$name: no versioned symbol found: nothing was checked"
  while read -r line; do complain "$name: $line"; done < <(too_new "$binary" | sort -u)
  while read -r library; do
    complain "$name: needs $library at run time; link it statically"
  done < <(objdump -p "$binary" | awk '$1 == "NEEDED" {print $2}' | grep -E "$not_dynamic" || true)
done
((bad == 0)) || exit 1
echo "the shipped binaries need glibc $newest at most and no C++ library"
