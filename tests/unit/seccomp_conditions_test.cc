#include "oci/seccomp_conditions.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace moat::oci {
namespace {

bool holds(const Condition& one, std::uint64_t value) {
  switch (one.op) {
    case Compare::Ne:
      return value != one.value;
    case Compare::Lt:
      return value < one.value;
    case Compare::Le:
      return value <= one.value;
    case Compare::Eq:
      return value == one.value;
    case Compare::Ge:
      return value >= one.value;
    case Compare::Gt:
      return value > one.value;
    case Compare::MaskedEq:
      return (value & one.value) == one.value_two;
  }
  return false;
}

TEST(Conditions, NegateAndNarrowMeanWhatTheySay) {
  const std::vector<std::uint64_t> values{0, 1, 2, 3, 4, 5, 6, 7, 8, ~0ULL, 1ULL << 32, 5ULL << 32};
  for (Compare op : {Compare::Ne, Compare::Lt, Compare::Le, Compare::Eq, Compare::Ge, Compare::Gt,
                     Compare::MaskedEq})
    for (std::uint64_t number : {0ULL, 1ULL, 5ULL, ~0ULL}) {
      const Condition one{0, op, number, op == Compare::MaskedEq ? number & 4 : 0};
      for (std::uint64_t value : values) {
        const auto opposite = negate(one);
        EXPECT_NE(
            holds(one, value),
            std::ranges::any_of(opposite, [&](const auto& other) { return holds(other, value); }))
            << to_string(op) << ' ' << number << ' ' << value;
        Conditions both{one};
        const Condition mask{0, Compare::MaskedEq, 6, 4};
        const bool expected = holds(one, value) && holds(mask, value);
        const Meet meet = narrow(both, mask);
        if (meet == Meet::Inexpressible) continue;
        EXPECT_EQ(meet == Meet::Done && holds(both[0], value), expected)
            << to_string(op) << ' ' << number << ' ' << value;
      }
    }
}

}  // namespace
}  // namespace moat::oci
