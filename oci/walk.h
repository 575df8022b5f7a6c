// Follows a path of the container through the image's symlinks, as a process in the container would
// be led, from the host and before anything runs.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "policies/result.h"

namespace moat::oci {

// Where a path of the container leads.
struct Walked {
  std::string path;        // absolute in the container, without symlinks: "/var/tmp"
  bool in_mount = false;   // it lies on or below a mount point; the image says nothing about it
  bool exists = false;     // in the image
  bool directory = false;  // in the image
  bool special = false;    // in the image: a device, FIFO or socket
};

// Follows `path` (absolute) step by step. It stops asking the image at the first of `mount_points`
// (walked paths themselves), because what is there is not the image's.
Result<Walked> walk(int root, std::string_view path, std::span<const std::string> mount_points);

}  // namespace moat::oci
