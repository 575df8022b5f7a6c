// What a process of moat gives up before it looks at anything a workload can influence: its user,
// its privileges, and every system call it does not need.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

// The user of supervisors and keepers, one no account has and no allocator of ranges reaches:
// "moat" in ASCII. Who shares a user with them could send them signals.
inline constexpr uid_t kGuardUser = 0x6d6f6174;

// A system call that stays, if `mask` of the low half of its argument has `value`.
struct Permitted {
  int call = 0;
  unsigned argument = 0;
  std::uint32_t mask = 0, value = 0;  // mask 0: whatever its arguments are
};

struct Confinement {
  const char* name;            // of the process
  std::uint64_t capabilities;  // those that stay, as bits
  std::vector<Permitted> calls;
};

// For good. An error leaves the process in between: it must not go on.
Status confine(const Confinement& confinement);

}  // namespace moat::shim
