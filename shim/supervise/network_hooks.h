// What holds one container's sockets to the addresses of its policy: programs at its cgroup, which
// outlive shim and supervisor with the last phase, and go with the cgroup.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shim/supervise/bpf.h"
#include "shim/supervise/shared_state.h"

namespace moat::shim {

inline constexpr auto kSessions = "moat-session";  // the cgroup below a container's, for execs

class NetworkHooks {
 public:
  // `folder`: of the container's own version 2 cgroup. Nothing is allowed until the first enter().
  // Programs for Unix sockets may be missing (before Linux 6.7) or unable to tell one from another,
  // and those for devices missing; the others not.
  static Result<std::unique_ptr<NetworkHooks>> attach(
      const std::string& folder, const std::vector<policies::NetworkProgram>& programs);

  // Whether attach() would succeed on a cgroup of its own: the node has such cgroups, and its
  // kernel takes the programs.
  static Status usable(const std::vector<policies::NetworkProgram>& programs);

  void enter(policies::Phase phase) { state_.enter(phase); }

  // Puts back what somebody has detached; true: there was something.
  Result<bool> repair();

  // A session's process, not yet running its own program, leaves the container's cgroup for one
  // below it, whose sockets are let through.
  Status admit(pid_t session);

  [[nodiscard]] bool holds_unix() const { return holds_unix_; }
  [[nodiscard]] bool names_unix() const { return names_unix_; }
  [[nodiscard]] bool holds_devices() const { return holds_devices_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] int state() const { return state_map_.raw(); }
  [[nodiscard]] int ring() const { return ring_.raw(); }

 private:
  struct Hook {
    policies::NetworkHook kind;
    UniqueFd program;
    std::uint32_t id = 0;
  };
  NetworkHooks(std::string folder, UniqueFd cgroup, UniqueFd state_map, UniqueFd ring,
               SharedState state)
      : folder_(std::move(folder)),
        cgroup_(std::move(cgroup)),
        state_map_(std::move(state_map)),
        ring_(std::move(ring)),
        state_(std::move(state)) {}
  Status add(const policies::NetworkProgram& program);
  Status add(const policies::HookKind& kind, const policies::KernelCode& code);
  void remove_all();

  std::string folder_;
  UniqueFd cgroup_, state_map_, ring_;
  SharedState state_;
  std::vector<Hook> hooks_;
  bool holds_unix_ = false, names_unix_ = false, holds_devices_ = false;
};

// The version 2 cgroup that is the container's alone; an error says why there is none.
Result<std::string> own_cgroup_of(pid_t init);

}  // namespace moat::shim
