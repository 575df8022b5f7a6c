// Takes away what a container and its shim left in moat's state folder. For whoever deletes the
// container: another process of the shim, or the hook of a runtime.
#pragma once

#include <string>

#include "hooks/leftovers.h"

namespace moat::hooks {

// The container's socket, and the records of shims that are gone. Missing is fine.
Status remove_leftovers(const std::string& state_dir, const Stopped& container);

}  // namespace moat::hooks
