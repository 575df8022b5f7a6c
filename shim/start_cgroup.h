// The cgroup a new shim is to live in: the runtime option ShimCgroup.
#pragma once

#include <sys/types.h>

#include <string>

#include "policies/result.h"

namespace moat::shim {

// Moves a process into the group of this path: of every hierarchy that has it (version 1), or of
// the one there is. A path that exists nowhere is an error. `root`: where cgroups are mounted.
Status join_cgroup(const std::string& path, pid_t pid, const std::string& root = "/sys/fs/cgroup");

}  // namespace moat::shim
