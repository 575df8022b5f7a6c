// Supervision for real: chooses the policy, rewrites config.json, runs one supervisor for the pod
// and carries out what it asks for.
#pragma once

#include <deque>
#include <map>

#include "oci/node_config.h"
#include "oci/select.h"
#include "shim/supervise/guarded_container.h"

namespace moat::shim {

class SupervisedGuard : public Guard {
 public:
  SupervisedGuard(oci::Loop& loop, Reaper& reaper, oci::NodeConfig config);

  Result<std::unique_ptr<Guarded>> prepare(const NewContainer& container) override;
  void use(GuardActions actions) override { actions_ = std::move(actions); }

  // What the control service tells: the supervisor's word on its containers (none: not running).
  void ask_status(std::function<void(std::vector<hooks::ContainerStatus>)> done);
  [[nodiscard]] pid_t supervisor_pid() const { return link_.pid(); }
  [[nodiscard]] pid_t init_of(const std::string& id) const;

 private:
  Result<std::unique_ptr<Guarded>> guard(const NewContainer& container);
  void tell_loosely_held(const std::string& id, const oci::Spec& spec);
  Status adopt(hooks::Adopt& message, const UniqueFd& events);
  void on_message(const hooks::Message& message);
  void supervisor_lost();
  void start_keeper();
  void container_gone(const std::string& id);
  void tell_missing(const std::string& id);
  void tell_missing_soon(const std::string& id);
  bool restart();  // of the supervisor; false: it must not or cannot be

  oci::Loop& loop_;
  Reaper& reaper_;
  oci::NodeConfig config_;
  SupervisorLink link_;
  KeeperLink keeper_;
  std::map<std::string, GuardedContainer*> containers_;  // owned by the Task service
  std::deque<std::int64_t> losses_;                      // of supervisors, lately
  GuardActions actions_;
  std::optional<Status> readonly_;      // whether mounts can be turned read-only, once tried
  std::optional<std::string> missing_;  // what the probes found, once they have been made
  bool probing_ = false;
};

}  // namespace moat::shim
