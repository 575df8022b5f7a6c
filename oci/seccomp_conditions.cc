#include "oci/seccomp_conditions.h"

#include <algorithm>
#include <array>

namespace moat::oci {
namespace {

constexpr std::array kCompares{Compare::Ne, Compare::Lt, Compare::Le,      Compare::Eq,
                               Compare::Ge, Compare::Gt, Compare::MaskedEq};

constexpr std::uint64_t kAllBits = ~0ULL;

// Equality is a mask of all bits; only these two forms can be joined on one register.
std::optional<Condition> as_mask(const Condition& condition) {
  if (condition.op == Compare::MaskedEq) return condition;
  if (condition.op != Compare::Eq) return std::nullopt;
  return Condition{condition.index, Compare::MaskedEq, kAllBits, condition.value};
}

// "Not all of these bits are so" is "one of them is otherwise".
std::vector<Condition> negate_mask(const Condition& condition) {
  std::vector<Condition> out;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t one = 1ULL << bit;
    if ((condition.value & one) == 0) continue;
    out.push_back({condition.index, Compare::MaskedEq, one, ~condition.value_two & one});
  }
  return out;
}

}  // namespace

std::string_view to_string(Compare op) {
  switch (op) {
    case Compare::Ne:
      return "SCMP_CMP_NE";
    case Compare::Lt:
      return "SCMP_CMP_LT";
    case Compare::Le:
      return "SCMP_CMP_LE";
    case Compare::Eq:
      return "SCMP_CMP_EQ";
    case Compare::Ge:
      return "SCMP_CMP_GE";
    case Compare::Gt:
      return "SCMP_CMP_GT";
    case Compare::MaskedEq:
      return "SCMP_CMP_MASKED_EQ";
  }
  return "?";
}

std::optional<Compare> compare_from(std::string_view name) {
  for (Compare op : kCompares)
    if (to_string(op) == name) return op;
  return std::nullopt;
}

Condition condition_of(const policies::ArgTest& test) {
  using Op = policies::ArgTest::Op;
  switch (test.op) {
    case Op::MaskedEq:
      return {test.index, Compare::MaskedEq, test.mask, test.value};
    case Op::NotEq:
      return {test.index, Compare::Ne, test.value, 0};
  }
  return {};
}

std::vector<Condition> negate(const Condition& condition) {
  const auto with = [&condition](Compare op) {
    return std::vector<Condition>{{condition.index, op, condition.value, 0}};
  };
  switch (condition.op) {
    case Compare::Ne:
      return with(Compare::Eq);
    case Compare::Lt:
      return with(Compare::Ge);
    case Compare::Le:
      return with(Compare::Gt);
    case Compare::Eq:
      return with(Compare::Ne);
    case Compare::Ge:
      return with(Compare::Lt);
    case Compare::Gt:
      return with(Compare::Le);
    case Compare::MaskedEq:
      return negate_mask(condition);
  }
  return {};
}

Meet narrow(Conditions& all, const Condition& more) {
  const auto same = std::ranges::find(all, more.index, &Condition::index);
  if (same == all.end()) {
    all.push_back(more);
    return Meet::Done;
  }
  if (*same == more) return Meet::Done;
  // A mask that the excluded value does not have excludes it already.
  const auto excludes = [](const Condition& ne, const Condition& mask) {
    return ne.op == Compare::Ne && mask.op == Compare::MaskedEq &&
           (ne.value & mask.value) != mask.value_two;
  };
  if (excludes(more, *same)) return Meet::Done;
  if (excludes(*same, more)) {
    *same = more;
    return Meet::Done;
  }
  const auto a = as_mask(*same);
  const auto b = as_mask(more);
  if (!a || !b) return Meet::Inexpressible;
  if (((a->value_two ^ b->value_two) & a->value & b->value) != 0) return Meet::Empty;
  *same = {more.index, Compare::MaskedEq, a->value | b->value, a->value_two | b->value_two};
  return Meet::Done;
}

}  // namespace moat::oci
