#include "policies/syscalls.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/filter.h"

namespace moat::policies {
namespace {

using Args = std::array<std::uint64_t, 6>;

TEST(Table, HasTheNumbersLibseccompHas) {
  for (const SyscallRow& row : syscalls())
    for (Arch arch : {Arch::X86_64, Arch::Arm64}) {
      if (!test::libseccomp_knows(row.name)) continue;
      EXPECT_EQ(row.number(arch), test::libseccomp_number(row.name, arch).value_or(-1))
          << row.name << (arch == Arch::Arm64 ? " on arm64" : " on x86_64");
    }
}

TEST(Table, FindsEachRowByNameAndByNumberAndNothingElse) {
  for (const SyscallRow& row : syscalls()) {
    EXPECT_EQ(find_syscall(row.name), &row);
    EXPECT_EQ(find_syscall(Arch::X86_64, row.x86_64), &row);
    EXPECT_EQ(find_syscall(Arch::Arm64, row.arm64), row.arm64 < 0 ? nullptr : &row);
  }
  EXPECT_EQ(find_syscall("read"), nullptr);
  EXPECT_EQ(find_syscall("opena"), nullptr);
  EXPECT_EQ(find_syscall(Arch::Arm64, -1), nullptr) << "what an architecture lacks has no number";
  EXPECT_EQ(find_syscall(Arch::X86_64, 257 | 0x40000000), nullptr) << "x32 is another table";
}

TEST(Table, NamesTheArgumentsADecisionNeeds) {
  for (const SyscallRow& row : syscalls()) {
    SCOPED_TRACE(row.name);
    const bool signals = row.action == Action::ProcessCross && row.tier == Tier::Gate;
    EXPECT_TRUE(row.tier != Tier::Path || row.index_of(Arg::Path) || row.index_of(Arg::Name));
    EXPECT_TRUE(!signals || row.index_of(Arg::Signal));
    const auto address = row.index_of(Arg::SockAddr);
    EXPECT_TRUE(!address || row.args.at(*address + 1) == Arg::Length);
  }
}

// Serving has none of these per request, or has them by the thousand (ioctl of GPUs).
TEST(Table, LeavesTheCallsOfTheSteadyStateAlone) {
  for (const char* name : {"read", "write", "futex", "epoll_wait", "ioctl", "mmap", "mprotect",
                           "close", "fcntl", "accept4", "recvfrom", "exit_group", "rt_sigreturn"})
    EXPECT_EQ(find_syscall(name), nullptr) << name;
}

std::vector<std::uint64_t> edges(const SyscallRow& row) {
  std::vector<std::uint64_t> out{0, 1, ~0ULL, 0xffffffff};
  const auto add = [&out](std::uint64_t value) {
    for (std::uint64_t near : {value, value - 1, value + 1, ~value, value | 0xffff000000000000})
      out.push_back(near);
  };
  for (const auto& test : row.interest.any)
    if (test) add(test->mask), add(test->value);
  if (row.interest.none) add(row.interest.none->mask), add(row.interest.none->value);
  for (unsigned bit = 0; bit < 64; ++bit) out.push_back(1ULL << bit);
  return out;
}

TEST(Interest, IsPartitionedByAnyAndNone) {
  for (const SyscallRow& row : syscalls()) {
    if (!row.interest.none) continue;
    const std::size_t index = row.interest.none->index;
    for (std::uint64_t value : edges(row)) {
      Args args{};
      args.at(index) = value;
      const bool any = std::ranges::any_of(
          row.interest.any, [&](const auto& test) { return test && test->holds(args); });
      EXPECT_NE(any, row.interest.none->holds(args)) << row.name << std::hex << " 0x" << value;
      EXPECT_EQ(any, row.interest.holds(args)) << row.name << std::hex << " 0x" << value;
    }
    for (const auto& test : row.interest.any)
      EXPECT_TRUE(!test || test->index == index) << row.name << ": the filter splits one register";
  }
}

TEST(Interest, IgnoresWhatTheKernelIgnores) {
  const Interest& open = find_syscall("openat")->interest;
  EXPECT_FALSE(open.holds({0, 0, 0xffffffff00080000})) << "int flags: the upper half is garbage";
  EXPECT_TRUE(open.holds({0, 0, 0xffffffff00000001}));
  EXPECT_TRUE(open.holds({0, 0, 0x410002})) << "O_TMPFILE comes with write access";
  const Interest& clone = find_syscall("clone")->interest;
  EXPECT_FALSE(clone.holds({0x3d0f00})) << "pthread_create";
  EXPECT_TRUE(clone.holds({0x11})) << "fork";
  EXPECT_TRUE(clone.holds({0x3d0f00 | 0x20000})) << "a thread in another mount namespace";
}

}  // namespace
}  // namespace moat::policies
