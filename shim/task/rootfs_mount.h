// One mount of a container's root file system, with everything snapshotters may ask for.
#pragma once

#include <string>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

struct RootfsMount {
  std::string type, source, target;  // target: below the root file system; usually empty
  std::vector<std::string> options;
};

// Loop devices, id maps and FUSE take processes, devices or a daemon's answer: not on a server's
// thread.
bool takes_time(const RootfsMount& mount);

Status mount_one(const std::string& rootfs, const RootfsMount& mount);

}  // namespace moat::shim
