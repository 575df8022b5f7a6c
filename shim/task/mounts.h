// The root file system's mounts: made in the shim's mount namespace before the runtime runs,
// undone after the container is deleted. Never detached lazily: a busy mount is an error to see.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/loop.h"
#include "policies/result.h"
#include "shim/task/rootfs_mount.h"

namespace moat::shim {

// Mounts all of them at `rootfs`, in order; a failure undoes the ones before it.
Status mount_rootfs(const std::string& rootfs, const std::vector<RootfsMount>& mounts);

// The same without blocking: `done` is called at once for what the kernel does at once; the rest is
// done by a helper process, this program with the first argument "mount" and the list on stdin.
void mount_rootfs_async(oci::Loop& loop, const std::string& rootfs,
                        const std::vector<RootfsMount>& mounts, std::function<void(Status)> done);
std::string to_json(const std::vector<RootfsMount>& mounts);
Result<std::vector<RootfsMount>> mounts_of_json(const std::string& text);

// The mount points at or below `folder` in the text of /proc/self/mountinfo, deepest last. Pure.
std::vector<std::string> mount_points_under(std::string_view mountinfo, const std::string& folder);

// Unmounts everything at and below `folder`, deepest first; what is busy is tried again for 2.5 s.
// Blocks: for the `delete` command and the helper below.
Status unmount_tree(const std::string& folder);

// The same in a helper process ("unmount"): unmounting an overlay writes its upper file
// system back, which takes as long as the disk needs.
void unmount_tree_async(oci::Loop& loop, const std::string& folder,
                        std::function<void(Status)> done);

}  // namespace moat::shim
