// One container: its init, its execs, and what is needed to run and to remove it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "oci/runc.h"
#include "shim/cgroups/cgroup.h"
#include "shim/cgroups/manager.h"
#include "shim/cgroups/oom_watch.h"
#include "shim/cgroups/stats.h"
#include "shim/supervise/guard.h"
#include "shim/task/options.h"
#include "shim/task/process.h"

namespace moat::shim {

struct Container {
  std::string id, bundle;
  RuntimeOptions options;
  oci::RuncConfig runc;
  std::string checkpoint;     // the image its start restores; empty: there is none
  bool mounted = false;       // we have mounted its root file system
  bool private_pids = false;  // the kernel ends the rest when init ends
  std::shared_ptr<Process> init;
  std::map<std::string, std::shared_ptr<Process>> execs;
  std::unique_ptr<Guarded> guarded;  // null: not supervised
  std::optional<Cgroup> cgroup;
  std::unique_ptr<CgroupManager> manager;  // null: it cannot be frozen
  std::unique_ptr<OomWatch> oom;           // null: memory is not controlled here
  int late_oom_kills = 0;                  // not told yet
  bool cgroup_gone = false;                // removed, and said so
  std::optional<Stats> last_stats;         // as far as any were read
  std::optional<ExitRecord> init_exit;     // known, but told only after every exec's

  [[nodiscard]] StdioPlace stdio_place(oci::Loop& loop, Reaper& reaper,
                                       const std::string& ns) const {
    return {{loop, reaper, ns, id}, bundle, {options.io_uid, options.io_gid}};
  }
  // Where CRIU works unless it is told otherwise.
  [[nodiscard]] std::string criu_work() const {
    if (!options.criu_work_path.empty()) return options.criu_work_path;
    return bundle + "/" + "work/criu-work";
  }
  [[nodiscard]] std::string rootfs() const { return bundle + "/rootfs"; }
  [[nodiscard]] std::string init_pid_file() const { return bundle + "/init.pid"; }
  [[nodiscard]] bool has_live_execs() const;

  // Ends what is left of it, whatever it shares.
  void kill_all() const;
};

}  // namespace moat::shim
