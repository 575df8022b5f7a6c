// The serving process: one thread, one loop, everything wired together.
#pragma once

#include "shim/command_line.h"

namespace moat::shim {

int serve_main(const CommandLine& line);

}  // namespace moat::shim
