#include "shim/task/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "oci/mount_options.h"
#include "oci/rootfs.h"
#include "oci/spawn.h"
#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr int kBusyTries = 50;
constexpr useconds_t kBusyPause = 50000;
constexpr std::chrono::milliseconds kHelperDeadline{30000};

std::size_t page_size() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Where a mount goes. The image may hold symlinks at the target's place: they end at the root.
struct Place {
  UniqueFd fd;
  std::string path;
};

Result<Place> place_of(const std::string& rootfs, const std::string& target) {
  if (target.empty() || target == "/") return Place{UniqueFd(), rootfs};
  auto root = oci::open_root(rootfs);
  if (!root) return fail(std::move(root.error()));
  auto fd = oci::open_below(root->raw(), target, O_PATH, RESOLVE_IN_ROOT);
  if (!fd) return fail(std::move(fd.error()).in("mount target " + target));
  std::string path = "/proc/self/fd/" + std::to_string(fd->raw());
  return Place{std::move(*fd), std::move(path)};
}

Status call_mount(const RootfsMount& mount, const std::string& target, unsigned long flags,
                  const std::string& data) {
  if (::mount(mount.source.c_str(), target.c_str(), mount.type.c_str(), flags, data.c_str()) == 0)
    return {};
  return fail_errno(errno, "mount " + mount.type + " " + mount.source);
}

// mount(2) copies one page; many layers fit only when named relative to their common folder.
Status mount_long(const RootfsMount& mount, const std::string& target, unsigned long flags,
                  const std::string& data) {
  const oci::CompactData compact = oci::compact_overlay(data);
  if (compact.folder.empty() || compact.data.size() >= page_size())
    return fail(Code::InvalidArgument, "mount options is too long: " + std::to_string(data.size()) +
                                           " bytes, the kernel takes " +
                                           std::to_string(page_size() - 1));
  auto here = oci::open_file(".", O_PATH | O_DIRECTORY);
  if (!here) return fail(std::move(here.error()));
  if (::chdir(compact.folder.c_str()) != 0) return fail_errno(errno, compact.folder);
  auto mounted = call_mount(mount, target, flags, compact.data);
  if (::fchdir(here->raw()) != 0 && mounted) return fail_errno(errno, "back from the layers");
  return mounted;
}

Status mount_one(const std::string& rootfs, const RootfsMount& mount) {
  const oci::MountOptions options = oci::parse_mount_options(mount.options);
  if (options.loop || !options.uid_map.empty() || !options.gid_map.empty())
    return fail(Code::Unimplemented,
                "mount " + mount.source + ": loop and id-mapped mounts are not supported yet");
  auto place = place_of(rootfs, mount.target);
  if (!place) return fail(std::move(place.error()));
  const bool is_long = options.data.size() >= page_size() - 512;  // containerd's own margin
  auto mounted = is_long ? mount_long(mount, place->path, options.flags, options.data)
                         : call_mount(mount, place->path, options.flags, options.data);
  if (!mounted) return mounted;
  const auto again = [&](unsigned long flags, const char* what) -> Status {
    if (::mount("", place->path.c_str(), "", flags, "") == 0) return {};
    return fail_errno(errno, std::string(what) + " " + mount.source);
  };
  if (options.propagation != 0) mounted = again(options.propagation, "set the propagation of");
  if (mounted && oci::needs_bind_remount(options))
    mounted = again(options.flags | MS_REMOUNT, "remount");
  return mounted;
}

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                      (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string_view field(std::string_view line, int number) {
  for (; number > 0; --number) line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
  return line.substr(0, line.find(' '));
}

Status unmount_one(const std::string& path) {
  for (int tries = kBusyTries;; --tries) {
    if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
    if (errno == EINVAL || errno == ENOENT) return {};  // not mounted: somebody was faster
    if (errno != EBUSY || tries == 0) return fail_errno(errno, "unmount " + path);
    ::usleep(kBusyPause);
  }
}

}  // namespace

Status mount_rootfs(const std::string& rootfs, const std::vector<RootfsMount>& mounts) {
  for (const RootfsMount& mount : mounts) {
    auto mounted = mount_one(rootfs, mount);
    if (mounted) continue;
    (void)unmount_tree(rootfs);
    return fail(std::move(mounted.error()).in("failed to mount rootfs component"));
  }
  return {};
}

std::vector<std::string> mount_points_under(std::string_view mountinfo, const std::string& folder) {
  std::vector<std::string> points;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    std::string point = unescape(field(line, 4));
    if (point == folder || point.starts_with(folder + "/")) points.push_back(std::move(point));
  }
  return points;
}

Status unmount_tree(const std::string& folder) {
  auto mountinfo = oci::read_file("/proc/self/mountinfo", 64U << 20);
  if (!mountinfo) return fail(std::move(mountinfo.error()));
  // The table is in the order of mounting: what was mounted last goes first.
  auto points = mount_points_under(*mountinfo, folder);
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    auto unmounted = unmount_one(*point);
    if (!unmounted) return unmounted;
  }
  return {};
}

void unmount_tree_async(oci::Loop& loop, const std::string& folder,
                        std::function<void(Status)> done) {
  oci::Command command;
  command.path = "/proc/self/exe";
  command.argv = {"containerd-shim-moat-v2", "unmount", folder};
  oci::run(loop, std::move(command), "", kHelperDeadline,
           [folder, done = std::move(done)](Result<oci::RunResult> result) {
             if (!result) return done(fail(std::move(result.error())));
             if (result->timed_out)
               return done(fail(Code::DeadlineExceeded, "unmounting " + folder + " hangs"));
             if (result->exit.status == 0) return done({});
             done(fail(Code::Unknown, std::move(result->output)));
           });
}

}  // namespace moat::shim
