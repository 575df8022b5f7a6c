// The system calls that libseccomp has names for: what a profile can speak of. A call newer than
// this is unknown to everybody, so that its number must be refused as such.
#pragma once

#include <string>
#include <vector>

#include "policies/syscalls.h"

namespace moat::oci {

std::vector<std::string> known_calls(policies::Arch arch);

}  // namespace moat::oci
