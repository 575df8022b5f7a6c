// Asks decide() the hardest questions it can get; only what it allows in every phase, whatever the
// arguments, needs no rule. So the two can never disagree.
#include "policies/compile.h"

#include <algorithm>
#include <array>

#include "policies/decide.h"

namespace moat::policies {
namespace {

// Nothing could be read of the memory, and the registers are the two extremes: every flag and the
// oddest numbers, or none of them.
std::array<CallFacts, 2> hardest(const SyscallRow& row) {
  CallFacts zeros;
  zeros.call = &row;
  zeros.unreadable = true;
  CallFacts ones = zeros;
  ones.args.fill(~0ULL);
  return {zeros, ones};
}

bool always_allowed(const Policy& policy, const SyscallRow& row) {
  const auto questions = hardest(row);
  return std::ranges::all_of(kPhases, [&](Phase phase) {
    return std::ranges::all_of(
        questions, [&](const CallFacts& facts) { return decide(policy, phase, facts).allowed; });
  });
}

CallPlan plan_never(const SyscallRow& row, Mode mode) {
  if (mode == Mode::Enforce) return {&row, Treatment::Refuse, row.never_errno};
  // Every thread starts with clone3, and its flags are in memory: nothing could be said about it.
  const bool silent = row.action == Action::ProcessCreate;
  return {&row, silent ? Treatment::Allow : Treatment::Notify, 0};
}

CallPlan plan(const Policy& policy, Mode mode, const SyscallRow& row) {
  if (mode == Mode::Off) return {&row, Treatment::Allow, 0};
  switch (row.tier) {
    case Tier::Never:
      return plan_never(row, mode);
    case Tier::Trigger:
      return {&row, Treatment::Notify, 0};  // allowed or not, the lifecycle waits for it
    case Tier::Gate:
    case Tier::Path:
      return {&row, always_allowed(policy, row) ? Treatment::Allow : Treatment::Notify, 0};
  }
  return {&row, Treatment::Refuse, row.never_errno};
}

}  // namespace

std::vector<CallPlan> compile(const Policy& policy, Mode mode) {
  std::vector<CallPlan> plans;
  plans.reserve(syscalls().size());
  for (const SyscallRow& row : syscalls()) plans.push_back(plan(policy, mode, row));
  return plans;
}

}  // namespace moat::policies
