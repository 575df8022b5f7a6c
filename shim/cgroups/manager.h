// What is changed about a container's group, by whoever owns it: the file system alone, or systemd,
// which would undo what is done behind its back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "oci/loop.h"
#include "shim/cgroups/cgroup.h"

namespace moat::shim {

// Absent: left as it is. kNoLimit: none.
struct Limits {
  std::optional<std::uint64_t> memory_bytes, tasks;
  std::optional<std::uint64_t> cpu_weight;  // 1 to 10000, 100 is the usual
};

class CgroupManager {
 public:
  using Done = std::function<void(Status)>;
  virtual ~CgroupManager() = default;

  // `done` is called once, from the loop, when every process has stopped respectively may run, or
  // that could not be reached in some seconds: nothing is frozen then. Ended meanwhile, it is not
  // called.
  virtual void freeze(Done done) = 0;
  virtual void thaw(Done done) = 0;

  virtual void set(const Limits& limits, Done done) = 0;

  // Called once when the group has been removed, by whomever.
  virtual void on_removed(std::function<void()> removed) = 0;
};

// Null when the group cannot be frozen: version 1 without the freezer.
std::unique_ptr<CgroupManager> manage_files(oci::Loop& loop, const Cgroup& cgroup);

// A unit of systemd's. `files`: for what systemd does not do; may be null.
class SystemdBus;
std::unique_ptr<CgroupManager> manage_unit(std::shared_ptr<SystemdBus> bus, const std::string& unit,
                                           std::unique_ptr<CgroupManager> files);

}  // namespace moat::shim
