// Register values worth trying for a call: what sits on either side of a comparison somebody makes.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "policies/syscalls.h"

namespace moat::test {

using Args = std::array<std::uint64_t, 6>;

// Of the table's tests, the profile's conditions and what the core looks at. Every edge alone, then
// mixtures of them; the same ones in every run.
std::vector<Args> vectors_of(const policies::SyscallRow& row, const nlohmann::json& seccomp);

}  // namespace moat::test
