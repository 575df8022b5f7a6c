// The mounts of a container, and descriptors for exactly those: a path that leads somewhere else
// by now is refused, not followed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::shim {

struct MountEntry {
  std::uint64_t id = 0;
  std::string point;  // as seen in the container, unescaped
  std::string fstype;
  bool readonly = false;
  std::string device{}, root{};  // which file system ("0:45"), and which folder of it
  bool noexec = false;
  std::string source{};  // as the kernel was told: a device, "tmpfs", "overlay"
};

// The text of /proc/PID/mountinfo. Lines that are not understood are an error: guessing which mount
// is writable is not an option.
Result<std::vector<MountEntry>> parse_mountinfo(std::string_view text);
Result<std::vector<MountEntry>> mounts_of(pid_t pid);

// Kernel interfaces rather than files: never marked. By type: a pod mounts its volumes below /sys
// and /dev, too.
bool is_kernel_interface(const MountEntry& mount);
bool is_procfs(const MountEntry& mount);
bool is_devices(const MountEntry& mount);                       // /dev, or below it
bool is_below(std::string_view path, std::string_view folder);  // or equal

// Whether it is read-only from `load` on. procfs, too: /proc/PID/mem is a way into every process of
// the container, and a claimed path cannot close it; `keep_proc` is for containers whose runtime
// writes a label there when it starts an exec.
bool is_held(const MountEntry& mount, const std::vector<std::string>& islands, bool keep_proc);

// A later mount lies on its point or on a folder above it: no path leads to it any more.
bool is_covered(const std::vector<MountEntry>& mounts, const MountEntry& mount);

// An O_PATH descriptor of the mount's root, opened below `root` without following symlinks and
// checked by mount id. NotFound when the mount is hidden behind another one.
Result<UniqueFd> open_mount(int root, const MountEntry& mount);
std::uint64_t mount_id_of(int fd);  // 0 when the kernel does not say

}  // namespace moat::shim
