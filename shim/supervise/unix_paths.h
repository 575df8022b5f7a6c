// Whether the workload can change where the name of a Unix socket leads. In the container's mount
// namespace and root, before its mounts turn read-only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policies/policy.h"
#include "shim/supervise/mount_table.h"

namespace moat::shim {

inline constexpr auto kUnixPath = "--unix=";  // a transition's argument, with one of unix_paths()

// Those that some phase names, "/**" for what lies in a folder.
std::vector<std::string> unix_paths(const policies::Policy& policy);

using StaysWritable = std::function<bool(const MountEntry& mount)>;

// Follows every step of `path`, symlinks included; of a folder, also those in it. The error names
// the one that the workload could change later, itself or through another mount of the same place.
Status check_unix_path(const std::string& path, const std::vector<MountEntry>& mounts,
                       const StaysWritable& stays_writable);

}  // namespace moat::shim
