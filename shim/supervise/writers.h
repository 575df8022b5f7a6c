// Finds who keeps a mount busy, for a message a person can act on.
#pragma once

#include <sys/types.h>

#include <string>

#include "policies/result.h"
#include "shim/supervise/mount_table.h"

namespace moat::shim {

// Holds the host's /proc open, to be read after a mount namespace was entered.
Status keep_host_proc();

// "/ cannot become read-only: python3 (pid 12345) has /var/log/app.log open for writing; declare
// its folder: moat.dev/cache-paths: /var/log". Looks at the processes that share `pid`'s mounts.
std::string describe_writers(pid_t pid, const MountEntry& mount);

// Where a descriptor of ours is, by that /proc.
std::string link_of_fd(int fd);

}  // namespace moat::shim
