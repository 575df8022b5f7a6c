// `moatctl policy lint`: says of each file whether a node would take it.
#pragma once

#include <string>
#include <vector>

#include "shim/ctl/exit.h"

namespace moat::shim::ctl {

struct LintOptions {
  std::vector<std::string> files;  // "-": standard input
  Format format = Format::Text;
};

Exit policy_lint(const LintOptions& options);

}  // namespace moat::shim::ctl
