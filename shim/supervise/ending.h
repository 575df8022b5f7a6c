// The means to end all of a container, as descriptors: they work for who has no privilege to open
// them, no memory to spare, or nobody to ask where the container is.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <vector>

#include "oci/fd.h"

namespace moat::shim {

class Ending {
 public:
  static constexpr std::size_t kCount = 4;

  Ending() = default;                             // nothing to end
  static Ending of(pid_t init);                   // of the container of this process
  static Ending from(std::vector<UniqueFd> fds);  // what raw() was, on the other side of a socket

  [[nodiscard]] std::vector<int> raw() const;  // kCount of them, or none

  // SIGKILL to everything in it. May be repeated.
  void now() const;

 private:
  // One that this machine does not have is the pidfd once more, which neither reads nor writes.
  enum Which : std::size_t { kInit, kKill, kProcesses, kFreezer };
  [[nodiscard]] int fd(Which which) const { return fds_[which].raw(); }
  [[nodiscard]] std::vector<pid_t> listed() const;

  std::array<UniqueFd, kCount> fds_;
};

// SIGKILL to each that `members` tells, twice: a number alone may change hands.
void kill_members(const std::function<std::vector<pid_t>()>& members);

}  // namespace moat::shim
