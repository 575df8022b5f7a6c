// Mount options as snapshotters write them, split the way mount(2) wants them. Pure.
#pragma once

#include <string>
#include <vector>

namespace moat::oci {

struct MountOptions {
  unsigned long flags = 0;        // MS_*, without propagation
  unsigned long propagation = 0;  // MS_SHARED and the like, with MS_REC; a mount call of its own
  std::string data;               // what the file system itself understands, comma-separated
  bool loop = false;
  std::string uid_map, gid_map;
};

MountOptions parse_mount_options(const std::vector<std::string>& options);

// A bind mount ignores MS_RDONLY and its like when it is made: they need a second call.
bool needs_bind_remount(const MountOptions& options);

// Long overlay option strings exceed the page mount(2) copies. With the lower layers relative to
// their common folder they usually fit; `folder` is then where the caller must stand, else empty.
struct CompactData {
  std::string folder, data;
};
CompactData compact_overlay(const std::string& data);

}  // namespace moat::oci
