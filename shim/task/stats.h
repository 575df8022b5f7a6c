// Stats, from the kernel's files: no runtime is run. A container that has ended answers as well,
// until it is deleted: clients decide by it whether it died for want of memory.
#pragma once

#include "shim/task/container.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

void answer_stats(Container& container, ttrpc::Call call);

// Its init has ended: the group may go with it (a scope of systemd's does), so what it counted is
// kept.
void keep_last_stats(Container& container);

}  // namespace moat::shim
