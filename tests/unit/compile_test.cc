#include "policies/compile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "policies/network_program.h"
#include "tests/support/policies.h"

namespace moat::policies {
namespace {

const CallPlan& plan_of(const std::vector<CallPlan>& plans, std::string_view name) {
  return *std::ranges::find_if(plans, [&](const auto& plan) { return plan.call->name == name; });
}

Treatment treatment(const Policy& policy, Mode mode, std::string_view name) {
  return plan_of(compile(policy, mode), name).rest;
}

TEST(Compile, HasOnePlanForEachRowInItsOrder) {
  const auto plans = compile(test::closed_policy(), Mode::Enforce);
  ASSERT_EQ(plans.size(), syscalls().size());
  for (std::size_t i = 0; i < plans.size(); ++i) EXPECT_EQ(plans[i].call, &syscalls()[i]);
}

TEST(Compile, RefusesWhatNoPhaseMayHaveOnlyInEnforce) {
  const Policy policy = test::open_policy();
  for (const SyscallRow& row : syscalls()) {
    SCOPED_TRACE(row.name);
    const bool bars = row.never_errno != 0;
    const auto barred = [&](Mode mode) { return plan_of(compile(policy, mode), row.name).barred; };
    EXPECT_EQ(barred(Mode::Enforce), bars ? Treatment::Refuse : Treatment::Allow);
    const auto watched = !bars || row.name == "clone3" ? Treatment::Allow : Treatment::Notify;
    EXPECT_EQ(barred(Mode::Audit), watched);
    EXPECT_EQ(barred(Mode::Learn), watched);
    if (row.tier != Tier::Never) continue;
    EXPECT_EQ(treatment(policy, Mode::Enforce, row.name), Treatment::Allow);
  }
}

TEST(Compile, AsksNothingWhereEveryPhaseAllowsEverything) {
  for (const CallPlan& plan : compile(test::open_policy(), Mode::Enforce)) {
    const bool moves = plan.call->tier == Tier::Trigger;  // the phases, allowed or not
    EXPECT_EQ(plan.rest, moves ? Treatment::Notify : Treatment::Allow) << plan.call->name;
  }
}

TEST(Compile, AsksAboutEverythingElseOfAClosedPolicy) {
  for (const CallPlan& plan : compile(test::closed_policy(), Mode::Enforce)) {
    const bool never = plan.call->tier == Tier::Never;
    EXPECT_EQ(plan.rest, never ? Treatment::Allow : Treatment::Notify) << plan.call->name;
  }
}

TEST(Compile, LeavesEverythingAloneWhenOff) {
  for (const CallPlan& plan : compile(test::closed_policy(), Mode::Off))
    EXPECT_TRUE(plan.barred == Treatment::Allow && plan.rest == Treatment::Allow)
        << plan.call->name;
}

TEST(Compile, DoesNotAskWhereToIfTheProgramsAloneDecide) {
  struct Row {
    const char* access;  // in every phase but `init`
    bool left;
  };
  for (const Row& row :
       {Row{R"(["10.0.0.0/8:443", "unix:*"])", true}, Row{R"(["*"])", true},
        // The names of Unix sockets, quiet ones among them, are only known to who reads them.
        Row{R"(["10.0.0.0/8:443"])", false}, Row{R"(["unix:*"])", false}, Row{"[]", false}}) {
    SCOPED_TRACE(row.access);
    std::string text =
        "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
        "  phases:\n    init: {network: {access: [\"*\"]}}\n";
    for (const char* phase : {"load", "warmup", "serve", "reload", "train", "shutdown"})
      text += std::string("    ") + phase + ": {network: {access: " + row.access + "}}\n";
    const Policy policy = test::policy_from(text);
    EXPECT_EQ(leaves_addresses_to_programs(policy), row.left);
    const bool open = row.access == std::string_view(R"(["*"])");
    for (const char* name : {"connect", "sendto", "sendmsg", "sendmmsg"}) {
      const auto held = plan_of(compile(policy, Mode::Enforce, true), name).rest;
      EXPECT_EQ(held, row.left ? Treatment::Allow : Treatment::Notify) << name;
      const auto alone = treatment(policy, Mode::Enforce, name);
      EXPECT_EQ(alone, open ? Treatment::Allow : Treatment::Notify) << name;
    }
    const auto kinds = plan_of(compile(policy, Mode::Enforce, true), "socket").rest;
    EXPECT_EQ(kinds, open ? Treatment::Allow : Treatment::Notify);
  }
}

TEST(Compile, AsksInAllPhasesIfOneOfThemDoesNotLeaveItToThePrograms) {
  const Policy policy = test::policy_from(R"(
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: t}
spec:
  extends: [builtin/python]
  phases:
    serve: {network: {access: ["+", "10.0.0.0/8:443", "unix:*"]}}
)");
  EXPECT_FALSE(leaves_addresses_to_programs(policy));
  EXPECT_EQ(plan_of(compile(policy, Mode::Enforce, true), "connect").rest, Treatment::Notify);
}

// One phase that says no is enough for a question in all of them: the filter cannot change.
TEST(Compile, TakesTheUnionOverThePhases) {
  const Policy policy = test::builtin_policy("builtin/python");
  EXPECT_TRUE(policy.boundary(Phase::Init).network.any);
  for (const char* name : {"connect", "execve", "openat", "unlink", "kill", "socket"})
    EXPECT_EQ(treatment(policy, Mode::Enforce, name), Treatment::Notify) << name;
  // Libraries that compile need it in all of them; so it costs nothing.
  for (const char* name : {"mmap", "mprotect", "pkey_mprotect", "shmat"})
    EXPECT_EQ(treatment(policy, Mode::Enforce, name), Treatment::Allow) << name;
}

// Calls a thread can be inside of when a phase begins that would not let them through.
TEST(Gated, IsWhatAPhaseMayRefuseAndNoMountDecides) {
  const auto names_of = [](const Policy& policy) {
    std::vector<std::string_view> names;
    for (const SyscallRow* row : gated(policy, Phase::Load)) names.push_back(row->name);
    return names;
  };
  const auto python = names_of(test::builtin_policy("builtin/python"));
  for (const char* name : {"connect", "execve", "sendto", "kill"})
    EXPECT_EQ(std::ranges::count(python, name), 1) << name;
  for (const char* name : {"openat", "unlink", "fork", "mount"})
    EXPECT_EQ(std::ranges::count(python, name), 0) << name;
  const auto open = names_of(test::open_policy());
  EXPECT_EQ(std::ranges::count(open, "connect"), 0);
  EXPECT_EQ(std::ranges::count(open, "execve"), 0);
}

}  // namespace
}  // namespace moat::policies
