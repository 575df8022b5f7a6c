// Seccomp profiles as containers bring them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "policies/syscalls.h"

namespace moat::test {

struct IncomingProfile {
  std::string name;
  nlohmann::json seccomp;  // null: the container has none
};

// What containerd puts in for RuntimeDefault; `admin`: with CAP_SYS_ADMIN.
nlohmann::json runtime_default(policies::Arch arch, bool admin);

std::vector<IncomingProfile> incoming_profiles(policies::Arch arch);

}  // namespace moat::test
