// Notices that the kernel killed for want of memory in a group. Idle until it does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "oci/loop.h"
#include "shim/cgroups/cgroup.h"

namespace moat::shim {

class OomWatch {
 public:
  virtual ~OomWatch() = default;

  // Looks now: a notification may come later than the end of the process it is about. `killed`: the
  // process has ended by SIGKILL, for when the group went with it and its last count cannot be
  // read.
  virtual void check(bool killed) = 0;

  [[nodiscard]] virtual std::uint64_t kills() const = 0;
};

// Calls `told` for each growth of the count from now on, from the loop or from check(). Fails where
// memory is not controlled.
Result<std::unique_ptr<OomWatch>> watch_oom(oci::Loop& loop, const Cgroup& cgroup,
                                            std::function<void()> told);

}  // namespace moat::shim
