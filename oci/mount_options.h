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
  bool direct_io = false;  // of the loop device
  std::string uid_map, gid_map;
};

MountOptions parse_mount_options(const std::vector<std::string>& options);

// A bind mount ignores MS_RDONLY and its like when it is made: they need a second call.
bool needs_bind_remount(const MountOptions& options);

// An overlay's options with its lower layers named by another way; `folder` is the one they all lie
// in, empty when there is none.
struct MovedLayers {
  std::string folder, data;
};

// Long option strings exceed the page mount(2) copies. With the layers relative to their folder,
// where the caller must stand, they usually fit.
MovedLayers compact_overlay(const std::string& data);

// With the layers below `to`, where a copy of their folder is mounted.
MovedLayers move_layers(const std::string& data, const std::string& to);

}  // namespace moat::oci
