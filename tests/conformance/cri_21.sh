#!/usr/bin/env bash
# A pod's life through containerd 2.1's CRI plugin (Debian unstable's): under moat it is the same as under the
# stock shim.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel,suites} e2e/lib/{checks,small_rootfs} lib/node \
  conformance/lib/{cri_pods,cri_story,cri_handlers}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

tell_stories 2.1 "$@"
