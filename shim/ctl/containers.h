// Every supervised container of this node, as the running shims tell.
#pragma once

#include <optional>
#include <string>

#include "shim/ctl/ps_view.h"

namespace moat::shim::ctl {

// Warns of shims that do not answer; nothing when the shims cannot be found at all.
std::optional<Containers> all_containers(const std::string& state_dir);

}  // namespace moat::shim::ctl
