// Sets of register values, as rows of the table state them and as the kernel's filter compares
// them: bit by bit under a mask. Pure algebra, and all of it constant where it can be.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace moat::policies {

using Registers = std::array<std::uint64_t, 6>;

// One comparison of a register, as the kernel's filter makes it: 64 bits wide.
struct ArgTest {
  enum class Op : std::uint8_t { MaskedEq, NotEq };
  std::uint8_t index = 0;
  Op op = Op::MaskedEq;
  std::uint64_t mask = ~0ULL;  // MaskedEq only
  std::uint64_t value = 0;

  [[nodiscard]] constexpr bool holds(const Registers& args) const {
    return op == Op::MaskedEq ? (args[index] & mask) == value : args[index] != value;
  }
};

// Where two comparisons hold, or one. Masks name only bits the kernel looks at: an `int` argument's
// upper half is the caller's to fill.
struct Region {
  std::array<std::optional<ArgTest>, 2> all{};

  constexpr Region() = default;
  constexpr Region(ArgTest one) : all{one} {}
  constexpr Region(ArgTest one, ArgTest two) : all{one, two} {}
  [[nodiscard]] constexpr bool holds(const Registers& args) const {
    return (!all[0] || all[0]->holds(args)) && (!all[1] || all[1]->holds(args));
  }
};

// Stated by its regions, which use MaskedEq only, or by those of the rest.
struct RegisterSet {
  enum class Kind : std::uint8_t { Nothing, Everything, In, NotIn };
  Kind kind = Kind::Nothing;
  std::array<std::optional<Region>, 8> regions{};

  [[nodiscard]] constexpr bool holds(const Registers& args) const {
    const bool in = std::ranges::any_of(
        regions, [&](const auto& region) { return region && region->holds(args); });
    switch (kind) {
      case Kind::Nothing:
        return false;
      case Kind::Everything:
        return true;
      case Kind::In:
        return in;
      case Kind::NotIn:
        return !in;
    }
    return true;
  }
};

inline constexpr RegisterSet kNoRegisters{};
inline constexpr RegisterSet kAllRegisters{RegisterSet::Kind::Everything};

// All hold; no register twice. Empty: always.
using Block = std::vector<ArgTest>;

// The set, and what is not in it, as blocks; together they cover every value, and no value is in a
// block of both.
std::vector<Block> blocks_of(const RegisterSet& set);
std::vector<Block> blocks_outside(const RegisterSet& set);

}  // namespace moat::policies
