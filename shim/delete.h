// `delete`: removes what is left of a task, also when its shim was killed.
#pragma once

#include "shim/command_line.h"

namespace moat::shim {

int delete_main(const CommandLine& line);

}  // namespace moat::shim
