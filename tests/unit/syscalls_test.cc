#include "policies/syscalls.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/edges.h"
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
    const bool others = row.action == Action::ProcessCross && row.tier == Tier::Gate;
    EXPECT_TRUE(row.tier != Tier::Path || row.index_of(Arg::Path) || row.index_of(Arg::Name));
    EXPECT_TRUE(!others || row.index_of(Arg::Signal) || row.index_of(Arg::Pid));
    const auto address = row.index_of(Arg::SockAddr);
    EXPECT_TRUE(!address || row.args.at(*address + 1) == Arg::Length);
  }
}

// Serving has none of these per request, or has them by the thousand (ioctl of GPUs).
TEST(Table, LeavesTheCallsOfTheSteadyStateAlone) {
  for (const char* name : {"read", "write", "futex", "epoll_wait", "ioctl", "munmap", "madvise",
                           "close", "fcntl", "accept4", "recvfrom", "exit_group", "rt_sigreturn"})
    EXPECT_EQ(find_syscall(name), nullptr) << name;
}

// Of two sets of blocks, every value is in exactly one.
void expect_partition(const RegisterSet& set, const std::vector<Args>& values) {
  const auto any = [](const std::vector<Block>& blocks, const Args& args) {
    return std::ranges::any_of(blocks, [&](const Block& block) {
      return std::ranges::all_of(block, [&](const ArgTest& test) { return test.holds(args); });
    });
  };
  const auto inside = blocks_of(set), outside = blocks_outside(set);
  for (const Args& args : values) {
    ASSERT_EQ(any(inside, args), set.holds(args)) << std::hex << args[0] << ' ' << args[1];
    ASSERT_NE(any(inside, args), any(outside, args)) << std::hex << args[0] << ' ' << args[1];
  }
}

TEST(Registers, EverySetOfTheTableIsPartitionedByItsBlocks) {
  for (const SyscallRow& row : syscalls()) {
    SCOPED_TRACE(row.name);
    const auto values = test::vectors_of(row, nlohmann::json::object());
    expect_partition(*row.barred, values);
    expect_partition(*row.interest, values);
    for (const RegisterSet& set : {*row.barred, *row.interest})
      for (const auto& blocks : {blocks_of(set), blocks_outside(set)}) {
        EXPECT_LE(blocks.size(), 100U) << "a filter has 4096 instructions for everything";
        for (const Block& block : blocks)
          EXPECT_LE(block.size(), 3U) << "no register twice, and few of them";
      }
  }
}

TEST(Registers, APointerIsComparedOnce) {
  const RegisterSet& times = *find_syscall("utimensat")->interest;
  ASSERT_EQ(blocks_of(times).size(), 1U);
  EXPECT_EQ(blocks_of(times)[0][0].op, ArgTest::Op::NotEq);
}

struct Bar {
  const char* call;
  Args args;
  bool refused;
  const char* why;
};

// Each row is a call an attacker makes, or one that every server makes.
TEST(Barred, IsWhatNoOrdinaryServerAsksFor) {
  for (const Bar& row : {
           Bar{"personality", {0xffffffff}, false, "asks"},
           Bar{"personality", {~0ULL}, false, "asks, with the upper half full"},
           Bar{"personality", {0x20008}, false, "uname26 and 32 bits"},
           Bar{"personality", {0x400000}, true, "READ_IMPLIES_EXEC"},
           Bar{"personality", {0xdead000000400000}, true, "the same"},
           Bar{"personality", {0x40000}, true, "ADDR_NO_RANDOMIZE"},
           Bar{"personality", {0xfffffffe}, true, "all but one bit"},
           Bar{"prctl", {15}, false, "PR_SET_NAME"},
           Bar{"prctl", {38}, false, "PR_SET_NO_NEW_PRIVS"},
           Bar{"prctl", {0x53564d41}, false, "PR_SET_VMA"},
           Bar{"prctl", {35}, true, "PR_SET_MM"},
           Bar{"prctl", {0x100000023}, true, "PR_SET_MM, as the kernel reads it"},
           Bar{"prctl", {62}, true, "PR_SCHED_CORE"},
           Bar{"prctl", {0x59616d61}, true, "PR_SET_PTRACER"},
           Bar{"socket", {1, 3, 0}, false, "decided by phase"},
           Bar{"socket", {2, 0x80802, 17}, false, "UDP"},
           Bar{"socket", {10, 1, 132}, false, "a stream"},
           Bar{"socket", {2, 3, 1}, true, "raw"},
           Bar{"socket", {2, 10, 0x300}, true, "SOCK_PACKET"},
           Bar{"socket", {10, 0x80003, 58}, true, "raw"},
           Bar{"socket", {16, 3, 0}, false, "routes"},
           Bar{"socket", {16, 3, 0xff00000000}, false, "routes"},
           Bar{"socket", {16, 3, 4}, true, "sock_diag"},
           Bar{"socket", {17, 3, 0}, true, "packet"},
           Bar{"socket", {38, 5, 0}, true, "alg"},
           Bar{"socket", {40, 1, 0}, true, "vsock"},
           Bar{"socket", {44, 3, 0}, true, "xdp"},
           Bar{"socket", {15, 3, 2}, true, "key"},
           Bar{"socket", {30, 1, 0}, true, "tipc"},
           Bar{"socket", {0, 1, 0}, true, "none"},
           Bar{"clone", {0x11}, false, "fork"},
           Bar{"clone", {0x10000011}, true, "CLONE_NEWUSER"},
       })
    EXPECT_EQ(find_syscall(row.call)->barred->holds(row.args), row.refused)
        << row.call << ": " << row.why;
}

TEST(Interest, IsTheMemoryThatIsWrittenAndRun) {
  for (const Bar& row : {
           Bar{"mmap", {0, 4096, 5, 0x2, 3}, false, "a library's code"},
           Bar{"mmap", {0, 4096, 3, 0x22}, false, "memory"},
           Bar{"mmap", {0, 4096, 0x7, 0x22}, true, "a JIT's"},
           Bar{"mmap", {0, 4096, 0x4, 0x22}, true, "run only, for now"},
           Bar{"mmap", {0, 4096, 0x7, 0x2, 3}, true, "a private copy of a file, to be filled"},
           Bar{"mprotect", {0, 4096, 1}, false, "RELRO"},
           Bar{"mprotect", {0, 4096, 0x01000007}, true, "an executable stack"},
           Bar{"pkey_mprotect", {0, 4096, 5, 1}, true, "the same by another name"},
           Bar{"shmat", {1, 0, 0}, false, "shared memory"},
           Bar{"shmat", {1, 0, 0x8000}, true, "to be run"},
       })
    EXPECT_EQ(find_syscall(row.call)->interest->holds(row.args), row.refused)
        << row.call << ": " << row.why;
}

TEST(Interest, IgnoresWhatTheKernelIgnores) {
  const RegisterSet& open = *find_syscall("openat")->interest;
  EXPECT_FALSE(open.holds({0, 0, 0xffffffff00080000})) << "int flags: the upper half is garbage";
  EXPECT_TRUE(open.holds({0, 0, 0xffffffff00000001}));
  EXPECT_TRUE(open.holds({0, 0, 0x410002})) << "O_TMPFILE comes with write access";
  const RegisterSet& clone = *find_syscall("clone")->interest;
  EXPECT_FALSE(clone.holds({0x3d0f00})) << "pthread_create";
  EXPECT_TRUE(clone.holds({0x11})) << "fork";
  EXPECT_TRUE(find_syscall("clone")->barred->holds({0x3d0f00 | 0x20000}))
      << "a thread in another mount namespace";
  const RegisterSet& socket = *find_syscall("socket")->barred;
  EXPECT_FALSE(socket.holds({0xffff000000000002, 0x80801, 0}));
  EXPECT_TRUE(socket.holds({0xffff000000000011, 1, 0})) << "AF_PACKET";
}

}  // namespace
}  // namespace moat::policies
