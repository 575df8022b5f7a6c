// The events of kills for want of memory.
#pragma once

#include "shim/task/tasks.h"

namespace moat::shim {

// From now on each is told. A machine that does not control memory has none to tell.
void tell_oom_kills(Tasks& tasks, Container& container);

}  // namespace moat::shim
