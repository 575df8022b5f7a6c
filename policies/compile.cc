// Asks decide() the hardest questions it can get; only what it allows in every phase, whatever the
// arguments, needs no rule. So the two can never disagree.
#include "policies/compile.h"

#include <algorithm>

#include "policies/decide.h"

namespace moat::policies {
namespace {

// The values of a block next to the extreme: every other flag, and the oddest numbers, or none.
void settle(const Block& block, std::uint64_t extreme, Registers& args) {
  for (const ArgTest& test : block) {
    std::uint64_t& value = args[test.index];
    if (test.op == ArgTest::Op::MaskedEq)
      value = (value & ~test.mask) | test.value;
    else if (value == test.value)
      value = ~extreme;
  }
}

// Of each part that is not barred, and worth a question, the two extremes, and nothing could be
// read of the memory.
std::vector<CallFacts> hardest(const SyscallRow& row, bool kernel_holds) {
  std::vector<CallFacts> questions;
  CallFacts facts;
  facts.call = &row;
  facts.unreadable = true;
  facts.kernel_holds = kernel_holds;
  for (const Block& part : blocks_outside(*row.barred))
    for (const Block& interesting : blocks_of(*row.interest))
      for (const std::uint64_t extreme : {std::uint64_t{0}, ~std::uint64_t{0}}) {
        facts.args.fill(extreme);
        settle(part, extreme, facts.args);
        settle(interesting, extreme, facts.args);
        if (!row.barred->holds(facts.args)) questions.push_back(facts);
      }
  return questions;
}

// No process is in these two unless a policy has rules for them.
bool can_be_entered(const Policy& policy, Phase phase) {
  return policy.boundary(phase).stated || (phase != Phase::Reload && phase != Phase::Train);
}

bool allowed_in(const Policy& policy, Phase phase, const std::vector<CallFacts>& questions) {
  return std::ranges::all_of(
      questions, [&](const CallFacts& facts) { return decide(policy, phase, facts).allowed; });
}

// The programs let sessions through: who has a boundary of their own is asked.
bool allowed_in_sessions(const Policy& policy, const SyscallRow& row) {
  return policy.session_boundary() == nullptr ||
         std::ranges::all_of(hardest(row, false), [&](const CallFacts& facts) {
           return decide_session(policy, facts).allowed;
         });
}

bool always_allowed(const Policy& policy, const SyscallRow& row, bool kernel_holds) {
  const auto questions = hardest(row, kernel_holds);
  return allowed_in_sessions(policy, row) && std::ranges::all_of(kPhases, [&](Phase phase) {
           return !can_be_entered(policy, phase) || allowed_in(policy, phase, questions);
         });
}

Treatment plan_barred(const SyscallRow& row, Mode mode) {
  if (row.barred->kind == RegisterSet::Kind::Nothing) return Treatment::Allow;
  if (mode == Mode::Enforce) return Treatment::Refuse;
  // Every thread starts with clone3, and its flags are in memory: nothing could be said about it.
  const bool silent = row.tier == Tier::Never && row.action == Action::ProcessCreate;
  return silent ? Treatment::Allow : Treatment::Notify;
}

Treatment plan_rest(const Policy& policy, const SyscallRow& row, bool kernel_holds) {
  switch (row.tier) {
    case Tier::Never:
      return Treatment::Allow;
    case Tier::Trigger:
      return Treatment::Notify;  // allowed or not, the lifecycle waits for it
    case Tier::Gate:
    case Tier::Path:
      return always_allowed(policy, row, kernel_holds) ? Treatment::Allow : Treatment::Notify;
  }
  return Treatment::Notify;
}

CallPlan plan(const Policy& policy, Mode mode, const SyscallRow& row, bool kernel_holds) {
  if (mode == Mode::Off) return {&row};
  return {&row, plan_barred(row, mode), plan_rest(policy, row, kernel_holds)};
}

}  // namespace

std::vector<CallPlan> compile(const Policy& policy, Mode mode, bool kernel_holds) {
  std::vector<CallPlan> plans;
  plans.reserve(syscalls().size());
  for (const SyscallRow& row : syscalls()) plans.push_back(plan(policy, mode, row, kernel_holds));
  return plans;
}

std::vector<const SyscallRow*> gated(const Policy& policy, Phase phase) {
  std::vector<const SyscallRow*> rows;
  for (const SyscallRow& row : syscalls()) {
    const bool gate = row.tier == Tier::Gate || row.tier == Tier::Trigger;
    if (gate && !allowed_in(policy, phase, hardest(row, false))) rows.push_back(&row);
  }
  return rows;
}

}  // namespace moat::policies
