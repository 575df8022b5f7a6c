// `moatctl ps`: the supervised containers of this node, asked of their shims.
#pragma once

#include <string>

#include "shim/ctl/exit.h"

namespace moat::shim::ctl {

struct PsOptions {
  std::string state_dir;
  Format format = Format::Text;
};

Exit ps(const PsOptions& options);

}  // namespace moat::shim::ctl
