#!/usr/bin/env bash
# containerd 2.1 (Debian unstable's) ends, asked to or not, and begins again under running pods.
set -euo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in lib/{common,apt,build,containerd,kernel,suites} e2e/lib/{checks,small_rootfs} lib/node \
  conformance/lib/{cri_pods,cri_restarts}; do
  # shellcheck source=/dev/null
  source "$TESTS/$part.sh"
done

restart_stories 2.1 "$@"
