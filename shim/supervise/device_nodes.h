// Which device nodes a container has: what its policy's paths stand for. Looked up between create
// and start, while nobody but the runtime has made any.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "policies/device_program.h"

namespace moat::shim {

// Of /dev, and `listed` (linux.devices names more places). No node is opened, and no symlink
// followed.
Result<std::vector<policies::DeviceNode>> device_nodes(pid_t init,
                                                       const std::vector<std::string>& listed);

}  // namespace moat::shim
