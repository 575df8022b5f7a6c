#include "shim/ctl/merge.h"

#include <queue>
#include <tuple>
#include <vector>

namespace moat::shim::ctl {

namespace {

struct Head {
  EventLine event;
  std::size_t source;
};

// The queue hands out its largest: the earliest must be that.
struct Later {
  bool operator()(const Head& a, const Head& b) const {
    return std::tie(a.event.time, a.source) > std::tie(b.event.time, b.source);
  }
};

}  // namespace

void merge(std::span<Source* const> sources, const std::function<bool(const EventLine&)>& sink) {
  std::priority_queue<Head, std::vector<Head>, Later> heads;
  const auto advance = [&](std::size_t source) {
    if (auto event = sources[source]->next()) heads.push({std::move(*event), source});
  };
  for (std::size_t i = 0; i < sources.size(); ++i) advance(i);
  while (!heads.empty()) {
    const Head head = heads.top();
    heads.pop();
    if (!sink(head.event)) return;
    advance(head.source);
  }
}

}  // namespace moat::shim::ctl
