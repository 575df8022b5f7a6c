// From a policy's device lists to the program at a container's cgroup that decides which device
// nodes can be opened, or made, whatever path leads to them. A policy names paths and the kernel
// knows numbers: what the paths stand for is looked up once, before the container's program runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/network_program.h"

namespace moat::policies {

struct DeviceNode {
  std::string path;  // as seen in the container
  bool block = false;
  std::uint32_t major = 0, minor = 0;

  bool operator==(const DeviceNode&) const = default;
};

// More than any container has; a /dev of the host's size is not worth a program.
inline constexpr std::size_t kMaxDeviceNodes = 1024;

// None when there is nothing to hold: mode off, or every phase may use everything. In `audit` the
// program reports and allows. A phase that lists "/dev/**" may use what the container's own list
// has; any other what it lists of `nodes`, and terminals (/dev/pts/N) by their kind, as they come
// and go.
Result<std::vector<NetworkProgram>> device_programs(const Policy& policy, Mode mode,
                                                    const std::vector<DeviceNode>& nodes);

// "c 1:3 /dev/null", and back; nothing for any other text.
std::string line_of(const DeviceNode& node);
std::optional<DeviceNode> node_from(std::string_view line);

// What a record is about: the node's path, or its numbers ("c 10:229").
std::string device_text(const NetworkRecord& record, const std::vector<DeviceNode>& nodes);

}  // namespace moat::policies
