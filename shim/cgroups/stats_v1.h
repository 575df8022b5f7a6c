// The counters of a version 1 group as one message. What is not there stays absent as it does in
// runc's shim: clients tell "not measured" from zero by it.
#pragma once

#include <span>
#include <string>

#include "shim/cgroups/stat_text.h"
#include "shim/proto/metrics_v1.pb.h"

namespace moat::shim {

// Names of block devices, from the text of /proc/partitions, and the machine's huge page sizes.
struct MachineText {
  std::string partitions;
  std::vector<std::string> page_sizes;
};

io::containerd::cgroups::v1::Metrics stats_v1(const ReadFile& read, const MachineText& machine);

}  // namespace moat::shim
