#!/usr/bin/env bash
# The arrows between the folders: shim -> hooks -> oci -> policies, and nothing looks into tests.
# Needs MOAT_SOURCE. Prints each include that breaks the rule; exit 0 when there is none.
set -euo pipefail
cd "${MOAT_SOURCE:?}"

check() {
  awk '
    BEGIN {
      may["policies"] = "^policies/"
      may["oci"] = "^(policies|oci)/"
      may["hooks"] = "^(policies|oci|hooks)/"
      may["shim"] = "^(policies|oci|hooks|shim)/"
      # The core takes parsers and the kernel'"'"'s constants, not the means to do something.
      library = "^(fmt|yaml-cpp|nlohmann|rapidjson|tl|linux)/|^svm[.]h$|^[a-z_0-9]+$" \
                "|^(sys/socket|arpa/inet|fcntl)[.]h$"
      never = "^(fstream|iostream|filesystem|cstdio|thread|mutex|shared_mutex|future|atomic|random" \
              "|condition_variable|semaphore|latch|barrier|stop_token|ctime)$"
    }
    function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad++ }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
      seen++
      folder = FILENAME
      sub("/.*", "", folder)
      quoted = $0 ~ /include[ \t]*"/
      name = $0
      sub(/^[^"<]*["<]/, "", name)
      sub(/[">].*/, "", name)
      if (quoted && (name !~ may[folder] || name ~ /[.][.]/))
        complain(folder " may not include \"" name "\"")
      else if (!quoted && name ~ /^(policies|oci|hooks|shim|tests)\//)
        complain("write own headers with quotes: <" name ">")
      else if (!quoted && folder == "policies" && (name !~ library || name ~ never))
        complain("policies may not include <" name ">")
    }
    END {
      if (!seen) { print "no includes found: nothing was checked"; exit 1 }
      if (bad) { print bad " of " seen " includes point the wrong way"; exit 1 }
      print seen " includes point down"
    }' "$@"
}

mapfile -t files < <(find policies oci hooks shim -type f \( -name '*.cc' -o -name '*.h' \) | sort)
check "${files[@]}" </dev/null
