// linux.seccomp as it came, read the way runc reads it. Knows nothing of moat's plan.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "oci/seccomp_conditions.h"
#include "policies/result.h"

namespace moat::oci {

struct FilterAction {
  std::string name;       // "SCMP_ACT_ERRNO"; SCMP_ACT_KILL_THREAD is spelled SCMP_ACT_KILL
  std::uint32_t err = 0;  // ERRNO and TRACE only

  bool operator==(const FilterAction&) const = default;
  [[nodiscard]] bool permits() const { return name == "SCMP_ACT_ALLOW" || name == "SCMP_ACT_LOG"; }
};

struct FilterRule {
  FilterAction action;
  Conditions when;
};

struct FilterGroup {
  std::vector<std::string> names;
  FilterAction action;
  std::vector<Conditions> when;  // one of them holds; empty: always
};

struct FilterProfile {
  FilterAction fallback;
  std::vector<FilterGroup> groups;
};

// The error names the place: "linux.seccomp: syscalls[3].args[0].op: unknown operator 'EQ'".
Result<FilterProfile> parse_filter(const nlohmann::json& seccomp);

// Where a call stands: where it gets through, and which rules stop it. What neither speaks of is
// for the profile's default action.
struct Standing {
  std::vector<FilterRule> permitted;
  std::vector<FilterRule> refused;
};

// Error: the rules of this call cannot be told apart by what a profile can state.
Result<Standing> standing_of(const FilterProfile& profile, const std::string& name);

}  // namespace moat::oci
