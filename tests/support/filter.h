// linux.seccomp compiled with libseccomp the way runc does it, for any of our architectures.
#pragma once

#include <nlohmann/json.hpp>

#include "policies/syscalls.h"
#include "tests/support/bpf.h"

namespace moat::test {

Result<Program> build_as_runc(const nlohmann::json& seccomp, policies::Arch arch);

// Whether the installed libseccomp knows the call: runc skips names it does not.
bool libseccomp_knows(std::string_view name);
std::optional<std::int32_t> libseccomp_number(std::string_view name, policies::Arch arch);

std::uint32_t audit_arch(policies::Arch arch);

}  // namespace moat::test
