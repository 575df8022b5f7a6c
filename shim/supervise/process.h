// Who is asking: what /proc says of a process on the host, and where it belongs. Names are for the
// report; only lineage and cgroup, which a workload cannot choose, decide anything.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "oci/fd.h"
#include "policies/event.h"

namespace moat::shim {

pid_t thread_group_of(pid_t tid);    // 0: gone
pid_t parent_of(pid_t pid);          // 0: gone
std::string exe_of(pid_t pid);       // link text; empty: gone
std::string exe_file_of(pid_t pid);  // which file that is, whatever its name; empty: gone
// Which execution of it: another one of the same file differs. Empty: cannot be told.
std::string program_of(pid_t pid);
std::string cgroups_of(pid_t pid);  // the text of /proc/PID/cgroup

// Whether `number` is what the thread, or its process, is called in the innermost PID namespace it
// is in. Both numbers are taken for as long as it waits for us; no other's is.
bool is_own_number(pid_t tid, pid_t number);

// A pidfd of the child that the process of `tid` calls `number`, of the same user and cgroup; none
// when it has no such child. A number alone would not do: a child that ends meanwhile leaves it to
// the next one who comes. A first process also inherits orphans: a session's are in a cgroup of
// their own.
UniqueFd child_of(pid_t tid, pid_t number);

policies::ProcessInfo describe(pid_t tid);

// The kernel tells a path of another mount namespace from that namespace's own root, which is above
// the container's when the runtime itself runs in a chroot. What it tells of the root of `pid` is
// what its other paths begin with.
std::string root_of(pid_t pid);  // "" for "/"
std::string below_root(std::string path, const std::string& root);

// The cgroups a container's init was put into: decides who is of the container.
class Membership {
 public:
  Membership() = default;
  // `own`: our own cgroups. What init shares with them tells nobody apart.
  explicit Membership(const std::string& init_cgroups, const std::string& own = {});
  // True for processes in the container's cgroups or below them, in any hierarchy. A container
  // without a cgroup of its own cannot be told from the rest: then everybody is of it.
  [[nodiscard]] bool contains(const std::string& cgroups) const;

 private:
  std::vector<std::pair<std::string, std::string>> paths_;  // hierarchy line head, path; never "/"
};

// The process whose cgroup is foreign and whose parent is `shim` stands at the top of a runtime's
// command: its descendants are a runtime's init that has not become the workload yet. A workload
// cannot have such an ancestor: its own are of the container.
bool is_runtime_bootstrap(pid_t pid, pid_t shim, const Membership& membership);

}  // namespace moat::shim
