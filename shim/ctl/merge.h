// Several streams of events, each in the order of its file, as one in the order of time. Pure.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "shim/ctl/event_line.h"

namespace moat::shim::ctl {

struct Source {
  virtual ~Source() = default;
  virtual std::optional<EventLine> next() = 0;  // nothing: no more for now
};

// Until no source has more, or `sink` returns false. Holds one event of each source. Equal times
// keep the order of the sources; a source whose own times go backwards keeps its own order.
void merge(std::span<Source* const> sources, const std::function<bool(const EventLine&)>& sink);

}  // namespace moat::shim::ctl
