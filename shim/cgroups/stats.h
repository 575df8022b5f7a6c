// A group's counters, in the message of the machine's cgroup version: a client of the other version
// cannot read them.
#pragma once

#include <string>
#include <variant>

#include "shim/cgroups/cgroup.h"
#include "shim/proto/metrics_v1.pb.h"
#include "shim/proto/metrics_v2.pb.h"

namespace moat::shim {

using Stats =
    std::variant<io::containerd::cgroups::v1::Metrics, io::containerd::cgroups::v2::Metrics>;

// NotFound when the group has gone.
Result<Stats> read_stats(const Cgroup& cgroup);

// What a group that has gone is known to have counted, and nothing else.
Stats empty_stats(bool unified);
// No fewer kills than these.
void raise_oom_kills(Stats& stats, std::uint64_t kills);

std::string_view type_of(const Stats& stats);  // its type URL
std::string to_wire(const Stats& stats);

}  // namespace moat::shim
