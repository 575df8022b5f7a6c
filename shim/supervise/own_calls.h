// Which system calls moat's own processes make once they are at work; those of workloads are
// another matter (policies/syscalls.h). A new call of theirs is to be added here.
#pragma once

#include "shim/supervise/confinement.h"

namespace moat::shim {

// What a loop over descriptors needs. A packet can be sent to the shim's socket alone, a signal by
// pidfd alone; memory never becomes a program.
std::vector<Permitted> keeper_calls(int shim_socket);

// These, and what it takes to look at who asks.
std::vector<Permitted> supervisor_calls(int shim_socket);

}  // namespace moat::shim
