// Version 2: which controllers a group may use is decided by the groups above it.
#pragma once

#include "shim/cgroups/cgroup.h"

namespace moat::shim {

// Gives the group every controller the root has, as runc's shim does after a creation: its limits
// can be changed later and everything is counted. What cannot be given stays as it is; an error
// names the last of it.
Status enable_controllers(const Cgroup& cgroup);

}  // namespace moat::shim
