#include "shim/supervise/marks.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "oci/sys.h"
#include "shim/supervise/mount_table.h"

namespace moat::shim {

namespace {

constexpr std::uint64_t kMask = FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM;

bool holds_files(int mount) {
  struct stat info {};
  return ::fstat(mount, &info) == 0 && (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode));
}

Status mark(int group, int root, const MountEntry& mount, unsigned how = FAN_MARK_ADD) {
  auto fd = open_mount(root, mount);
  if (!fd) return fail(std::move(fd.error()));
  if (!holds_files(fd->raw())) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(fd->raw());
  if (::fanotify_mark(group, how | FAN_MARK_MOUNT, kMask, AT_FDCWD, path.c_str()) == 0) return {};
  if (how == FAN_MARK_REMOVE && errno == ENOENT) return {};  // it had none
  return fail_errno(errno, "permission mark on mount " + mount.point);
}

// A mount below one with models, or another mount of their folder or of one in it: the same files.
bool reaches_models(const MountEntry& mount, const MountEntry& models) {
  return is_below(mount.point, models.point) ||
         (mount.device == models.device && is_below(mount.root, models.root));
}

Result<UniqueFd> root_of(pid_t init) {
  return oci::open_file("/proc/" + std::to_string(init) + "/root", O_PATH | O_DIRECTORY);
}

// Devices are never marked: opening one for the reader could block or have effects. Each is in the
// runtime's own /dev, or mounted by itself.
bool marked(const MountEntry& mount) {
  return !is_kernel_interface(mount) && mount.point != "/dev";
}

// The last one listed at a point is the one on top.
const MountEntry* mount_at(const std::vector<MountEntry>& mounts, const std::string& point) {
  const auto found = std::find_if(mounts.rbegin(), mounts.rend(),
                                  [&](const MountEntry& mount) { return mount.point == point; });
  return found == mounts.rend() ? nullptr : &*found;
}

// Whether it is at one of the points, or another way to what is there.
bool leads_to(const std::vector<std::string>& points, const std::vector<std::string>& islands,
              const std::vector<MountEntry>& mounts, const MountEntry& mount) {
  return std::ranges::any_of(points, [&](const std::string& point) {
    const MountEntry* at_point = mount_at(mounts, point);
    if (at_point == nullptr || at_point == &mount) return at_point != nullptr;
    return reaches_models(mount, *at_point) && marked(mount) && !is_covered(mounts, mount) &&
           std::ranges::find(islands, mount.point) == islands.end();
  });
}

}  // namespace

Result<UniqueFd> make_group() {
  // O_NONBLOCK for the event's descriptors: an event for a FIFO must not block its reader.
  UniqueFd group(::fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_TID |
                                     FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
                                 O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK));
  if (!group.valid()) return fail_errno(errno, "fanotify_init with permission events");
  return group;
}

Status mark_points(int group, pid_t init, const std::vector<std::string>& points,
                   const std::vector<std::string>& islands) {
  auto mounts = mounts_of(init);
  auto root = root_of(init);
  if (!mounts) return fail(std::move(mounts.error()));
  if (!root) return fail(std::move(root.error()));
  for (const std::string& point : points)
    if (mount_at(*mounts, point) == nullptr)
      return fail(Code::NotFound, "no mount at " + point + " in the container");
  for (const MountEntry& mount : *mounts) {
    if (!leads_to(points, islands, *mounts, mount)) continue;
    if (auto status = mark(group, root->raw(), mount); !status) return status;
  }
  return {};
}

Status mark_all(int group, pid_t init) {
  auto mounts = mounts_of(init);
  auto root = root_of(init);
  if (!mounts) return fail(std::move(mounts.error()));
  if (!root) return fail(std::move(root.error()));
  for (const MountEntry& mount : *mounts) {
    // Nobody opens anything on a mount that another one hides.
    if (!marked(mount) || is_covered(*mounts, mount)) continue;
    if (auto status = mark(group, root->raw(), mount); !status) return status;
  }
  return {};
}

Status keep_marks(int group, pid_t init, const std::vector<std::string>& points,
                  const std::vector<std::string>& islands) {
  auto mounts = mounts_of(init);
  auto root = root_of(init);
  if (!mounts) return fail(std::move(mounts.error()));
  if (!root) return fail(std::move(root.error()));
  for (const MountEntry& mount : *mounts) {
    const bool kept = leads_to(points, islands, *mounts, mount);
    if (kept || !marked(mount) || is_covered(*mounts, mount)) continue;
    if (auto status = mark(group, root->raw(), mount, FAN_MARK_REMOVE); !status) return status;
  }
  return {};
}

}  // namespace moat::shim
