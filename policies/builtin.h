// The profiles shipped with moat, as text inside the binary.
#pragma once

#include <span>
#include <string_view>

namespace moat::policies {

struct BuiltinProfile {
  std::string_view name;  // "builtin/python"
  std::string_view yaml;
};

std::span<const BuiltinProfile> builtin_profiles();

}  // namespace moat::policies
