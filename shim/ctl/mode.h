// `moatctl mode`: the mode of a running container, and why it cannot be another one.
#pragma once

#include <string>

#include "shim/ctl/exit.h"

namespace moat::shim::ctl {

struct ModeOptions {
  std::string state_dir;
  std::string id;
  std::string wanted;  // audit or enforce; empty: only asked
  Format format = Format::Text;
};

Exit mode(const ModeOptions& options);

// What is in the way of `wanted` for a container in `mode`; empty: it is in it already.
std::string mode_obstacle(std::string_view id, std::string_view mode, std::string_view wanted);

}  // namespace moat::shim::ctl
