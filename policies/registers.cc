#include "policies/registers.h"

namespace moat::policies {
namespace {

// Of each register: which bits are settled, and how.
struct Bits {
  Registers mask{}, value{};
};

bool meet(const Bits& a, const Bits& b) {
  for (std::size_t i = 0; i < a.mask.size(); ++i)
    if (((a.value[i] ^ b.value[i]) & a.mask[i] & b.mask[i]) != 0) return false;
  return true;
}

bool lies_in(const Bits& small, const Bits& large) {
  for (std::size_t i = 0; i < small.mask.size(); ++i)
    if ((large.mask[i] & ~small.mask[i]) != 0) return false;
  return meet(small, large);
}

Bits bits_of(const Region& region) {
  Bits bits;
  for (const auto& test : region.all) {
    if (!test) continue;
    bits.mask[test->index] |= test->mask;
    bits.value[test->index] |= test->value;
  }
  return bits;
}

Block block_of(const Bits& bits) {
  Block block;
  for (std::uint8_t i = 0; i < bits.mask.size(); ++i)
    if (bits.mask[i] != 0) block.push_back({i, ArgTest::Op::MaskedEq, bits.mask[i], bits.value[i]});
  return block;
}

struct Bit {
  std::size_t index = 0;
  std::uint64_t one = 0;
};

// A bit that tells some of `regions` from a part of `within`; rather one on which all agree, as
// then one of its two sides is done with.
Bit telling_bit(const Bits& within, const std::vector<Bits>& regions) {
  Bit some;
  for (std::size_t i = 0; i < within.mask.size(); ++i)
    for (std::uint64_t one = 1ULL << 63; one != 0; one >>= 1) {
      if ((within.mask[i] & one) != 0) continue;
      std::size_t set = 0, clear = 0;
      for (const Bits& region : regions)
        if ((region.mask[i] & one) != 0) ++((region.value[i] & one) != 0 ? set : clear);
      if (set == regions.size() || clear == regions.size()) return {i, one};
      if (some.one == 0 && set + clear != 0) some = {i, one};
    }
  return some;
}

// Halves `within` until a part lies in a region or meets none; each step settles one bit more.
void without(const Bits& within, const std::vector<Bits>& regions, std::vector<Block>& out) {
  std::vector<Bits> near;
  for (const Bits& region : regions) {
    if (lies_in(within, region)) return;
    if (meet(within, region)) near.push_back(region);
  }
  if (near.empty()) {
    out.push_back(block_of(within));
    return;
  }
  const Bit bit = telling_bit(within, near);
  for (const std::uint64_t value : {std::uint64_t{0}, bit.one}) {
    Bits half = within;
    half.mask[bit.index] |= bit.one;
    half.value[bit.index] |= value;
    without(half, near, out);
  }
}

std::vector<Bits> regions_of(const RegisterSet& set) {
  std::vector<Bits> regions;
  for (const auto& region : set.regions)
    if (region) regions.push_back(bits_of(*region));
  return regions;
}

std::vector<Block> stated(const RegisterSet& set) {
  std::vector<Block> blocks;
  for (const Bits& region : regions_of(set)) blocks.push_back(block_of(region));
  return blocks;
}

std::vector<Block> rest(const RegisterSet& set) {
  const auto regions = regions_of(set);
  // One comparison instead of 64: a pointer that is not null.
  if (regions.size() == 1)
    for (std::uint8_t i = 0; i < regions[0].mask.size(); ++i)
      if (regions[0].mask[i] == ~0ULL && block_of(regions[0]).size() == 1)
        return {{{i, ArgTest::Op::NotEq, ~0ULL, regions[0].value[i]}}};
  std::vector<Block> out;
  without({}, regions, out);
  return out;
}

}  // namespace

std::vector<Block> blocks_of(const RegisterSet& set) {
  switch (set.kind) {
    case RegisterSet::Kind::Nothing:
      return {};
    case RegisterSet::Kind::Everything:
      return {{}};
    case RegisterSet::Kind::In:
      return stated(set);
    case RegisterSet::Kind::NotIn:
      return rest(set);
  }
  return {{}};
}

std::vector<Block> blocks_outside(const RegisterSet& set) {
  switch (set.kind) {
    case RegisterSet::Kind::Nothing:
      return {{}};
    case RegisterSet::Kind::Everything:
      return {};
    case RegisterSet::Kind::In:
      return rest(set);
    case RegisterSet::Kind::NotIn:
      return stated(set);
  }
  return {};
}

}  // namespace moat::policies
