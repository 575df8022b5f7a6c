#include "policies/verdict.h"

#include <gtest/gtest.h>

#include "tests/support/policies.h"

namespace moat::policies {
namespace {

Policy with_reaction(const std::string& reaction) {
  return test::policy_with("  onViolation: " + reaction + "\n");
}

Decision no(bool quiet = false, int err = 0) {
  Decision decision;
  decision.quiet = quiet;
  decision.err = err;
  return decision;
}

Decision yes() {
  Decision decision;
  decision.allowed = true;
  return decision;
}

int errno_of(const Outcome& outcome) {
  const auto* refuse = std::get_if<Refuse>(&outcome.verdict);
  return refuse == nullptr ? 0 : refuse->err;
}

bool goes_on(const Outcome& outcome) {
  return std::holds_alternative<Continue>(outcome.verdict);
}

TEST(Outcome, OfAYesIsSilenceInEveryMode) {
  const Policy policy = with_reaction("kill");
  for (Mode mode : {Mode::Off, Mode::Audit, Mode::Learn, Mode::Enforce}) {
    EXPECT_TRUE(goes_on(outcome(policy, mode, yes())));
    EXPECT_EQ(outcome(policy, mode, yes()).report, Report::Nothing);
  }
}

TEST(Outcome, OfANoGoesOnAndIsReportedWhileWatching) {
  const Policy policy = with_reaction("kill");
  for (Mode mode : {Mode::Audit, Mode::Learn}) {
    EXPECT_TRUE(goes_on(outcome(policy, mode, no())));
    EXPECT_EQ(outcome(policy, mode, no()).report, Report::WouldDeny);
    EXPECT_TRUE(goes_on(outcome(policy, mode, no(true))));
    EXPECT_EQ(outcome(policy, mode, no(true)).report, Report::Nothing);
  }
  EXPECT_EQ(outcome(policy, Mode::Off, no()).report, Report::Nothing);
}

TEST(Outcome, EnforcedIsThePolicysReaction) {
  EXPECT_EQ(errno_of(outcome(with_reaction("{errno: EPERM}"), Mode::Enforce, no())), EPERM);
  EXPECT_EQ(outcome(with_reaction("{errno: EPERM}"), Mode::Enforce, no()).report,
            Report::Violation);
  EXPECT_TRUE(std::holds_alternative<KillCaller>(
      outcome(with_reaction("kill"), Mode::Enforce, no()).verdict));
  EXPECT_TRUE(std::holds_alternative<Quarantine>(
      outcome(with_reaction("quarantine"), Mode::Enforce, no()).verdict));
  EXPECT_TRUE(std::holds_alternative<Terminate>(
      outcome(with_reaction("terminate"), Mode::Enforce, no()).verdict));
}

TEST(Outcome, ADecisionsOwnErrnoComesBeforeThePolicys) {
  EXPECT_EQ(errno_of(outcome(with_reaction("{errno: EPERM}"), Mode::Enforce, no(false, EFAULT))),
            EFAULT);
}

TEST(Outcome, QuietNeverKillsAndIsNeverReported) {
  for (const char* reaction : {"kill", "quarantine", "terminate", "{errno: EPERM}"}) {
    const Outcome result = outcome(with_reaction(reaction), Mode::Enforce, no(true, ECONNREFUSED));
    EXPECT_EQ(errno_of(result), ECONNREFUSED) << reaction;
    EXPECT_EQ(result.report, Report::Nothing) << reaction;
  }
}

}  // namespace
}  // namespace moat::policies
