#!/usr/bin/env bash
# Knowledge about system calls is in policies/syscalls.cc alone: no other file of the product names
# a handful of them. A second list would drift from the filter. What moat's own processes call is
# another matter. Needs MOAT_SOURCE.
set -euo pipefail
cd "${MOAT_SOURCE:?}"
table=policies/syscalls.cc
own=shim/supervise/own_calls.cc

# The first text of each row: never("mount", …), SyscallRow{"listen", …}.
names=$(sed -nE 's/^ *[A-Za-z]+[({]"([a-z0-9_]+)",.*/\1/p' "$table" | sort -u)

mapfile -t files < <(find policies oci hooks shim charts -type f ! -path "$table" ! -path "$own" | sort)
awk -v names="$names" -v table="$table" '
  BEGIN {
    most = 5  # a file that makes or reports single calls names a few
    calls = split(names, list, "\n")
    for (i in list) known[list[i]] = 1
    if (calls < 50) { print "only " calls " names found in " table; exit bad = 1 }
  }
  function finish() {
    if (count > most) {
      printf "%s: names %d system calls:%s\n", file, count, text
      bad++
    }
    delete named
    count = 0
    text = ""
  }
  function note(name) {
    if (name in named) return
    named[name] = 1
    count++
    text = text " " name
  }
  FNR == 1 { finish(); file = FILENAME; seen++ }
  {
    # Texts in quotes, and the C names of the numbers: SYS_x, __NR_x, SCMP_SYS(x).
    rest = $0
    while (match(rest, /["'"'"'][a-z0-9_]+["'"'"']/)) {
      word = substr(rest, RSTART + 1, RLENGTH - 2)
      if (word in known) note(word)
      rest = substr(rest, RSTART + RLENGTH - 1)
    }
    rest = $0
    while (match(rest, /(SYS_|__NR_|SCMP_SYS[(])[a-z0-9_]+/)) {
      word = substr(rest, RSTART, RLENGTH)
      sub(/^(SYS_|__NR_|SCMP_SYS[(])/, "", word)
      note(word)
      rest = substr(rest, RSTART + RLENGTH)
    }
  }
  END {
    if (calls < 50) exit 1
    finish()
    if (bad) { print "derive them from " table; exit 1 }
    printf "%d files without a second table (%d calls in %s)\n", seen, calls, table
  }' "${files[@]}" </dev/null
