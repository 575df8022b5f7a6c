#include "shim/task/container.h"

#include <algorithm>
#include <csignal>

#include "oci/sys.h"

namespace moat::shim {

bool Container::has_live_execs() const {
  return std::ranges::any_of(execs, [](const auto& entry) { return entry.second->live(); });
}

void Container::kill_all() const {
  const auto kill = [](const Process& process) {
    if (process.pidfd.valid()) (void)oci::pidfd_signal(process.pidfd.raw(), SIGKILL);
  };
  if (init) kill(*init);
  for (const auto& [exec_id, exec] : execs) kill(*exec);
  if (cgroup) cgroup->signal_all(SIGKILL);
}

}  // namespace moat::shim
