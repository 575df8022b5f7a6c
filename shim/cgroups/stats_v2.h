// The counters of a version 2 group as one message. All parts but pressure, huge pages and events
// are always there, with zeros for what the kernel does not say, as in runc's shim.
#pragma once

#include <string>
#include <vector>

#include "shim/cgroups/stat_text.h"
#include "shim/proto/metrics_v2.pb.h"

namespace moat::shim {

// `page_sizes`: the machine's huge pages, as "2MB". The controller's name is not used.
io::containerd::cgroups::v2::Metrics stats_v2(const ReadFile& read,
                                              const std::vector<std::string>& page_sizes);

// The text of memory.events.
io::containerd::cgroups::v2::MemoryEvents parse_memory_events(std::string_view text);

}  // namespace moat::shim
