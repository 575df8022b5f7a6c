#include "tests/support/edges.h"

#include <algorithm>
#include <random>
#include <set>

namespace moat::test {
namespace {

using nlohmann::json;
using policies::Arg;
using policies::SyscallRow;

// The values on both sides of every comparison that could be made with `number`, with and without
// garbage where a 32-bit argument does not reach.
void add_edges(std::set<std::uint64_t>& out, std::uint64_t number) {
  constexpr std::uint64_t kGarbage = 0xdeadbeef00000000;
  for (const std::uint64_t value : {number, number - 1, number + 1, ~number}) {
    out.insert(value);
    out.insert(value | kGarbage);
    out.insert(value & 0xffffffff);
  }
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t one = 1ULL << bit;
    if ((number & one) == 0) continue;
    out.insert(one);
    out.insert(number & ~one);
    out.insert(one | kGarbage);
  }
}

// By argument: what the table or the profile compares it with, and what the core looks at.
std::array<std::set<std::uint64_t>, 6> edges_of(const SyscallRow& row, const json& seccomp) {
  std::array<std::set<std::uint64_t>, 6> edges;
  for (auto& values : edges) values = {0, 1, ~0ULL, 0xffffffff};
  const auto add_test = [&](const policies::ArgTest& test) {
    add_edges(edges[test.index], test.mask);
    add_edges(edges[test.index], test.value);
  };
  for (const policies::RegisterSet& set : {*row.barred, *row.interest})
    for (const auto& region : set.regions) {
      if (!region) continue;
      for (const auto& test : region->all)
        if (test) add_test(*test);
    }
  for (std::size_t i = 0; i < row.args.size(); ++i) {
    if (row.args[i] == Arg::Domain)
      for (std::uint64_t domain : {1ULL, 2ULL, 10ULL, 16ULL, 38ULL, 40ULL})
        add_edges(edges[i], domain);
    if (row.args[i] == Arg::SockType) add_edges(edges[i], 0x80802);
    if (row.args[i] == Arg::Signal) add_edges(edges[i], 9);
  }
  for (const json& group : seccomp.value("syscalls", json::array())) {
    if (std::ranges::count(group["names"], json(row.name)) == 0) continue;
    for (const json& arg : group.value("args", json::array())) {
      add_edges(edges[arg["index"].get<std::size_t>()], arg["value"].get<std::uint64_t>());
      add_edges(edges[arg["index"].get<std::size_t>()], arg.value("valueTwo", std::uint64_t{0}));
    }
  }
  return edges;
}

}  // namespace

std::vector<Args> vectors_of(const policies::SyscallRow& row, const json& seccomp) {
  const auto edges = edges_of(row, seccomp);
  std::vector<Args> out;
  for (std::size_t i = 0; i < edges.size(); ++i)
    for (const std::uint64_t value : edges[i]) {
      out.push_back({});
      out.back()[i] = value;
    }
  // Where two registers are compared, both sides of one with both sides of the other.
  const auto near = [](const policies::ArgTest& test) {
    std::set<std::uint64_t> values{0, ~0ULL};
    add_edges(values, test.value);
    return values;
  };
  for (const policies::RegisterSet& set : {*row.barred, *row.interest})
    for (const auto& region : set.regions) {
      if (!region || !region->all[1]) continue;
      for (const std::uint64_t one : near(*region->all[0]))
        for (const std::uint64_t two : near(*region->all[1])) {
          out.push_back({});
          out.back()[region->all[0]->index] = one;
          out.back()[region->all[1]->index] = two;
        }
    }
  std::minstd_rand random(7);
  for (int round = 0; round < 60; ++round) {
    Args args{};
    for (std::size_t i = 0; i < args.size(); ++i)
      args[i] = *std::next(edges[i].begin(), static_cast<long>(random() % edges[i].size()));
    out.push_back(args);
  }
  return out;
}

}  // namespace moat::test
