// A file as a block device.
#pragma once

#include <string>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::oci {

struct LoopDevice {
  UniqueFd fd;  // the device lives as long as this is open, or it is mounted
  std::string path;
};

// Takes a free device, which frees itself after its last user. `direct_io` falls back to buffered
// I/O where the file cannot do it.
struct LoopOptions {
  bool read_only = false, direct_io = false;
};
Result<LoopDevice> attach_loop(const std::string& file, LoopOptions options);

}  // namespace moat::oci
