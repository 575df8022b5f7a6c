// The root file system's mounts: made in the shim's mount namespace before the runtime runs,
// undone after the container is deleted. Never detached lazily: a busy mount is an error to see.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/loop.h"
#include "policies/result.h"

namespace moat::shim {

struct RootfsMount {
  std::string type, source, target;  // target: below the root file system; usually empty
  std::vector<std::string> options;
};

// Mounts all of them at `rootfs`, in order; a failure undoes the ones before it.
Status mount_rootfs(const std::string& rootfs, const std::vector<RootfsMount>& mounts);

// The mount points at or below `folder` in the text of /proc/self/mountinfo, deepest last. Pure.
std::vector<std::string> mount_points_under(std::string_view mountinfo, const std::string& folder);

// Unmounts everything at and below `folder`, deepest first; what is busy is tried again for 2.5 s.
// Blocks: for the `delete` command and the helper below.
Status unmount_tree(const std::string& folder);

// The same without blocking, in a helper process: unmounting an overlay writes its upper file
// system back, which takes as long as the disk needs. The helper is this program with the first
// argument "unmount".
void unmount_tree_async(oci::Loop& loop, const std::string& folder,
                        std::function<void(Status)> done);

}  // namespace moat::shim
