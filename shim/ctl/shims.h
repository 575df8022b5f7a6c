// The shims of this node: each running one has a file `<state_dir>/shims/<pid>.json` that says
// where it listens.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::shim::ctl {

struct Shim {
  pid_t pid = 0;
  std::string namespace_;  // containerd's
  std::string id;          // of the pod, or of the one container
  std::string socket;      // path of its ttrpc socket
};

Result<Shim> parse_shim(std::string_view json);

struct Shims {
  std::vector<Shim> running;
  std::vector<std::string> problems;  // files that are there and cannot be used, one line each
};

// A folder that is missing holds no shims. Files of processes that are gone are left out: a shim
// that was killed cannot remove its own.
Result<Shims> list_shims(const std::string& state_dir);

}  // namespace moat::shim::ctl
