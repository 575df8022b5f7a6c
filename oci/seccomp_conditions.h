// Comparisons of a call's registers as linux.seccomp states them, and the little algebra that
// merging needs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "policies/syscalls.h"

namespace moat::oci {

enum class Compare : std::uint8_t { Ne, Lt, Le, Eq, Ge, Gt, MaskedEq };
std::string_view to_string(Compare op);  // "SCMP_CMP_NE"
std::optional<Compare> compare_from(std::string_view name);

struct Condition {
  std::uint32_t index = 0;
  Compare op = Compare::Eq;
  std::uint64_t value = 0;      // MaskedEq: the mask
  std::uint64_t value_two = 0;  // MaskedEq: what the masked register must be

  bool operator==(const Condition&) const = default;
};

// All hold; empty: always. No index twice: runc would take that for "one of them holds".
using Conditions = std::vector<Condition>;

Condition condition_of(const policies::ArgTest& test);

// When `condition` does not hold: one of the results does.
std::vector<Condition> negate(const Condition& condition);

enum class Meet : std::uint8_t { Done, Empty, Inexpressible };

// Narrows `all` by one more condition. Empty: the two never hold together. Inexpressible: one
// register would need two comparisons.
Meet narrow(Conditions& all, const Condition& more);

}  // namespace moat::oci
