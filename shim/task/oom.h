// The events of kills for want of memory.
#pragma once

#include "shim/task/tasks.h"

namespace moat::shim {

// From now on each is told. A machine that does not control memory has none to tell.
void watch_oom_kills(Tasks& tasks, Container& container);

// Tells those that came while the container was being started: its start has been told by now.
void tell_late_oom_kills(EventSink& events, Container& container);

}  // namespace moat::shim
