// `moatctl events`: the event files of this node as one stream in the order of time.
#pragma once

#include <string>

#include "shim/ctl/event_line.h"
#include "shim/ctl/exit.h"

namespace moat::shim::ctl {

struct EventsOptions {
  std::string log_dir;
  EventFilter filter;
  Format format = Format::Text;
  bool follow = false;
};

Exit events(const EventsOptions& options);

}  // namespace moat::shim::ctl
