// From a policy to what the kernel's filter must do with each call of the table: allow, refuse or
// notify. The union over all phases, and what sessions may: only what differs between them, or must
// be reported, notifies.
#pragma once

#include <vector>

#include "policies/policy.h"
#include "policies/syscalls.h"

namespace moat::policies {

enum class Treatment : std::uint8_t {
  Allow,   // no rule needed
  Refuse,  // ERRNO in the filter
  Notify,  // `rest`: when the row's `interest` holds, otherwise allowed
};

struct CallPlan {
  const SyscallRow* call = nullptr;
  Treatment barred = Treatment::Allow;  // of what the row bars
  Treatment rest = Treatment::Allow;
};

// One entry per row of the table, in its order. In `audit` nothing is refused: what rows bar is
// notified instead (clone3 stays allowed: its flags are in memory and every thread makes one).
// `kernel_holds`: the container does not start without the programs of network_program.h, so that
// what they decide whatever the registers say is not asked about.
std::vector<CallPlan> compile(const Policy& policy, Mode mode, bool kernel_holds = false);

// The calls of the gates that a phase does not let through whatever their registers say. What was
// let through before must have ended when it begins; paths are the mounts' business.
std::vector<const SyscallRow*> gated(const Policy& policy, Phase phase);

}  // namespace moat::policies
