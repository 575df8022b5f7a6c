// Tells when the mounts of a container change: what arrives after its creation has no mark and is
// writable, whoever put it there.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "oci/fd.h"
#include "oci/loop.h"
#include "shim/supervise/mount_table.h"

namespace moat::shim {

struct MountChanges {
  std::vector<MountEntry> arrived, gone;
};
// A mount is known by its number and by where it is: one that was moved is gone, and has arrived.
MountChanges changes_between(const std::vector<MountEntry>& before,
                             const std::vector<MountEntry>& now);

class MountWatch {
 public:
  using OnChange = std::function<void(const MountChanges&)>;

  // From what is mounted now. Ends with the container's init: an open list keeps its mounts alive.
  static Result<std::unique_ptr<MountWatch>> create(oci::Loop& loop, pid_t init,
                                                    OnChange on_change);
  ~MountWatch() { stop(); }

 private:
  MountWatch(oci::Loop& loop, pid_t init, OnChange on_change)
      : loop_(loop), init_(init), on_change_(std::move(on_change)) {}
  void look();
  void stop();

  oci::Loop& loop_;
  pid_t init_;
  OnChange on_change_;
  UniqueFd list_, pidfd_;
  std::vector<MountEntry> known_;
};

}  // namespace moat::shim
