// What is done about a decision: the sum type a listener's answer is made of.
#pragma once

#include <variant>

#include "policies/decide.h"

namespace moat::policies {

struct Continue {};  // the kernel runs the call; its memory arguments may still change
struct Refuse {
  int err;
};
struct KillCaller {};  // refused, and the process is sent SIGKILL first
struct Quarantine {};  // refused, and the container's cgroup is frozen
struct Terminate {};   // refused, and the container is killed
using Verdict = std::variant<Continue, Refuse, KillCaller, Quarantine, Terminate>;

enum class Report : std::uint8_t { Nothing, WouldDeny, Violation };

struct Outcome {
  Verdict verdict;
  Report report;
};

// `audit` and `learn` let everything go on; `enforce` refuses with the policy's reaction.
Outcome outcome(const Policy& policy, Mode mode, const Decision& decision);

}  // namespace moat::policies
