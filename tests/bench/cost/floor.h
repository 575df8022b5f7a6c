// The least a mechanism can cost: the worker under a loop of a few lines, which decides nothing and
// remembers nothing. What moat does is measured against it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::bench {

enum class FloorKind {
  Seccomp,   // RECV, SEND with CONTINUE, with the listener's synchronous wake-up
  Fanotify,  // read, write FAN_ALLOW, close; permission marks on the mount of the worker's root
};

class Floor {
 public:
  // The worker runs in `dir`/rootfs, a mount of its own, and in the cgroups that `dir`/cgroups
  // lists: what a container costs is not what is measured. The loop is a process of its own, as
  // moat's is.
  static Result<std::unique_ptr<Floor>> start(FloorKind kind, const std::string& dir);
  ~Floor();
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;

  Result<std::string> order(const std::string& line);

 private:
  Floor() = default;
  UniqueFd input_, output_;
  pid_t loop_ = 0;  // the worker is its child
};

}  // namespace moat::bench
