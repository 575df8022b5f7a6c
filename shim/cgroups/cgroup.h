// A container's cgroup through cgroupfs, version 1 (hybrid included) or 2.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

class Cgroup {
 public:
  // Where the process is now. Fails when it is gone, or in no group of its own: acting on a root
  // group, or on the one we are in ourselves, would hit strangers, or us.
  static Result<Cgroup> of_process(pid_t pid);

  // What the choice depends on besides the process: pure then, for tests.
  struct Machine {
    std::string_view root;  // where cgroups are mounted
    bool unified = false;   // version 2 only
    std::string_view own;   // the text of /proc/self/cgroup
    std::function<bool(const std::string&)> exists;
  };
  // The folder to use from the text of /proc/PID/cgroup; empty: none is the process's own.
  static std::string folder_in(std::string_view text, const Machine& machine);

  // Every process in it and below it.
  [[nodiscard]] std::vector<pid_t> pids() const;

  // Signals every process in it. SIGKILL is repeated until no new one turns up (bounded): a process
  // may have forked meanwhile.
  void signal_all(int signal) const;

  // In a frozen group of version 1 not even SIGKILL takes effect. Version 2 needs nothing.
  void thaw() const;

  [[nodiscard]] bool empty() const { return pids().empty(); }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  Cgroup(std::string folder, std::string freezer)
      : folder_(std::move(folder)), freezer_(std::move(freezer)) {}

  void signal_each(std::span<const pid_t> targets, int signal) const;

  std::string folder_;
  std::string freezer_;  // version 1 only: its freezer may be another hierarchy
};

}  // namespace moat::shim
