#include "policies/compile.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/policies.h"

namespace moat::policies {
namespace {

const CallPlan& plan_of(const std::vector<CallPlan>& plans, std::string_view name) {
  return *std::ranges::find_if(plans, [&](const auto& plan) { return plan.call->name == name; });
}

Treatment treatment(const Policy& policy, Mode mode, std::string_view name) {
  return plan_of(compile(policy, mode), name).treatment;
}

TEST(Compile, HasOnePlanForEachRowInItsOrder) {
  const auto plans = compile(test::closed_policy(), Mode::Enforce);
  ASSERT_EQ(plans.size(), syscalls().size());
  for (std::size_t i = 0; i < plans.size(); ++i) EXPECT_EQ(plans[i].call, &syscalls()[i]);
}

TEST(Compile, RefusesWhatNoPhaseMayHaveOnlyInEnforce) {
  const Policy policy = test::open_policy();
  for (const SyscallRow& row : syscalls()) {
    if (row.tier != Tier::Never) continue;
    SCOPED_TRACE(row.name);
    const CallPlan enforced = plan_of(compile(policy, Mode::Enforce), row.name);
    EXPECT_EQ(enforced.treatment, Treatment::Refuse);
    EXPECT_EQ(enforced.err, row.never_errno);
    const auto watched = row.name == "clone3" ? Treatment::Allow : Treatment::Notify;
    EXPECT_EQ(treatment(policy, Mode::Audit, row.name), watched);
    EXPECT_EQ(treatment(policy, Mode::Learn, row.name), watched);
  }
}

TEST(Compile, AsksNothingWhereEveryPhaseAllowsEverything) {
  const auto plans = compile(test::open_policy(), Mode::Enforce);
  for (const char* name :
       {"open", "openat", "creat", "rename", "mkdirat", "execve", "execveat", "fork", "connect",
        "sendto", "sendmsg", "kill", "memfd_create", "mq_open", "sethostname", "adjtimex"})
    EXPECT_EQ(plan_of(plans, name).treatment, Treatment::Allow) << name;
}

TEST(Compile, AsksEvenAnOpenPolicyWhatNoPolicyCanAllowOrTheLifecycleNeeds) {
  const auto plans = compile(test::open_policy(), Mode::Enforce);
  EXPECT_EQ(plan_of(plans, "listen").treatment, Treatment::Notify) << "moves the phases";
  EXPECT_EQ(plan_of(plans, "socket").treatment, Treatment::Notify) << "AF_PACKET, AF_ALG, …";
  EXPECT_EQ(plan_of(plans, "clone").treatment, Treatment::Notify) << "new namespaces";
}

TEST(Compile, AsksAboutEverythingElseOfAClosedPolicy) {
  const auto plans = compile(test::closed_policy(), Mode::Enforce);
  for (const CallPlan& plan : plans) {
    const bool never = plan.call->tier == Tier::Never;
    EXPECT_EQ(plan.treatment, never ? Treatment::Refuse : Treatment::Notify) << plan.call->name;
  }
}

TEST(Compile, LeavesEverythingAloneWhenOff) {
  for (const CallPlan& plan : compile(test::closed_policy(), Mode::Off))
    EXPECT_EQ(plan.treatment, Treatment::Allow) << plan.call->name;
}

// One phase that says no is enough for a question in all of them: the filter cannot change.
TEST(Compile, TakesTheUnionOverThePhases) {
  const Policy policy = test::builtin_policy("builtin/python");
  EXPECT_TRUE(policy.boundary(Phase::Init).network.any);
  for (const char* name : {"connect", "execve", "openat", "unlink", "kill"})
    EXPECT_EQ(treatment(policy, Mode::Enforce, name), Treatment::Notify) << name;
}

}  // namespace
}  // namespace moat::policies
