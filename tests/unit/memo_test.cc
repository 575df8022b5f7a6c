#include "shim/supervise/memo.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

using policies::Phase;

TEST(OpenMemo, KnowsExactlyWhatWasAllowed) {
  OpenMemo memo;
  memo.add(Phase::Load, "/usr/lib/a.so");
  EXPECT_TRUE(memo.knows(Phase::Load, "/usr/lib/a.so"));
  EXPECT_FALSE(memo.knows(Phase::Serve, "/usr/lib/a.so")) << "another phase";
  EXPECT_FALSE(memo.knows(Phase::Load, "/usr/lib/a.so/"));
}

TEST(OpenMemo, KnowsNothingOfAPathThatCouldNotBeRead) {
  const OpenMemo memo;
  for (const Phase phase : policies::kPhases) EXPECT_FALSE(memo.knows(phase, ""));
}

TEST(OpenMemo, OthersInAPlaceDoNotAnswerForIt) {
  OpenMemo memo;
  for (int i = 0; i < 10000; ++i) memo.add(Phase::Serve, "/usr/lib/" + std::to_string(i));
  for (int i = 0; i < 10000; ++i)
    EXPECT_FALSE(memo.knows(Phase::Serve, "/root/.ssh/" + std::to_string(i)));
  memo.add(Phase::Serve, std::string(100000, 'a'));
  EXPECT_FALSE(memo.knows(Phase::Serve, std::string(100000, 'a'))) << "not kept: too long";
}

TEST(CallMemo, KnowsExactlyWhatWasAllowed) {
  CallMemo memo;
  const auto& kill = *policies::find_syscall("kill");
  memo.add(Phase::Serve, kill, {1, 0});
  EXPECT_TRUE(memo.knows(Phase::Serve, kill, {1, 0}));
  EXPECT_FALSE(memo.knows(Phase::Serve, kill, {1, 9})) << "another signal";
  EXPECT_FALSE(memo.knows(Phase::Serve, kill, {2, 0}));
  EXPECT_FALSE(memo.knows(Phase::Load, kill, {1, 0}));
  for (const policies::SyscallRow& row : policies::syscalls()) {
    if (&row == &kill) continue;
    EXPECT_FALSE(memo.knows(Phase::Serve, row, {1, 0})) << row.name;
  }
  memo.forget();
  EXPECT_FALSE(memo.knows(Phase::Serve, kill, {1, 0}));
}

TEST(CallMemo, KnowsNothingAtFirst) {
  const CallMemo memo;
  for (const policies::SyscallRow& row : policies::syscalls())
    EXPECT_FALSE(memo.knows(Phase::Init, row, {})) << row.name;
}

}  // namespace
}  // namespace moat::shim
