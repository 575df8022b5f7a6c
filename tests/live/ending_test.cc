// Who is killed when a container ends: its members, and nobody who has got a member's number.
#include "shim/supervise/ending.h"

#include <gtest/gtest.h>

#include "tests/support/victim.h"

namespace moat::shim {
namespace {

bool lives(const test::Victim& victim) {
  siginfo_t info{};
  const int waited =
      ::waitid(P_PID, static_cast<id_t>(victim.pid()), &info, WEXITED | WNOHANG | WNOWAIT);
  return waited == 0 && info.si_pid == 0;
}

bool dies(const test::Victim& victim) {
  for (int i = 0; i < 200 && lives(victim); ++i) ::usleep(10000);
  return !lives(victim);
}

TEST(Ending, KillsWhoIsListedStillWhenItsNumberIsOpened) {
  const test::Victim member([] { return std::uint64_t{0}; });
  const test::Victim stranger([] { return std::uint64_t{0}; });
  int asked = 0;
  kill_members([&]() -> std::vector<pid_t> {
    // A member that ended meanwhile, whose number is the stranger's now.
    if (asked++ == 0) return {stranger.pid(), member.pid()};
    return {member.pid()};
  });
  EXPECT_TRUE(dies(member));
  ::usleep(50000);
  EXPECT_TRUE(lives(stranger));
  EXPECT_GE(asked, 2);
}

TEST(Ending, KillsMoreThanItHasDescriptorsForAtOnce) {
  std::vector<std::unique_ptr<test::Victim>> members;
  std::vector<pid_t> pids;
  for (int i = 0; i < 150; ++i) {
    members.push_back(std::make_unique<test::Victim>([] { return std::uint64_t{0}; }));
    pids.insert(pids.begin(), members.back()->pid());  // version 2 lists in no order
  }
  kill_members([&] { return pids; });
  for (const auto& member : members) EXPECT_TRUE(dies(*member));
}

}  // namespace
}  // namespace moat::shim
