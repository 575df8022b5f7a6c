// `start`: finds the shim of a task's group or starts one, and tells containerd its address.
#pragma once

#include "shim/command_line.h"

namespace moat::shim {

int start_main(const CommandLine& line);

}  // namespace moat::shim
