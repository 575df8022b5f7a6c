// A container's cgroup through the file system it is in, version 1 (hybrid included) or 2: where it
// is, who is in it, and what its files say. Under the systemd driver it is the same file system.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

inline constexpr std::string_view kCgroupRoot = "/sys/fs/cgroup";

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
  // The same of one controller, each of which may be a hierarchy of its own in version 1. An empty
  // name is the unified one, of which a hybrid has one beside the others.
  static std::string folder_of(std::string_view text, std::string_view controller,
                               const Machine& machine);
  // All of them together; NotFound when none is the process's own.
  static Result<Cgroup> in(std::string_view text, const Machine& machine);

  // Every process in it and below it.
  [[nodiscard]] std::vector<pid_t> pids() const;

  // Signals every process in it. SIGKILL is repeated until no new one turns up (bounded): a process
  // may have forked meanwhile.
  void signal_all(int signal) const;

  // In a frozen group of version 1 not even SIGKILL takes effect. Version 2 needs nothing.
  void thaw() const;

  [[nodiscard]] bool empty() const { return pids().empty(); }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] bool unified() const { return unified_; }
  [[nodiscard]] const std::string& root() const { return root_; }

  // Where the controller's files are; empty when it is not in use here.
  [[nodiscard]] const std::string& folder(std::string_view controller) const;

  // What one of them says; nothing when it is not there, or cannot be read.
  [[nodiscard]] std::optional<std::string> read(std::string_view controller,
                                                std::string_view file) const;
  [[nodiscard]] Status write(std::string_view controller, std::string_view file,
                             std::string_view text) const;

 private:
  Cgroup() = default;
  void signal_each(std::span<const pid_t> targets, int signal) const;

  bool unified_ = false;
  std::string root_, folder_;
  // Version 1, and the hybrid's unified one by the empty name.
  std::vector<std::pair<std::string_view, std::string>> folders_;
};

}  // namespace moat::shim
