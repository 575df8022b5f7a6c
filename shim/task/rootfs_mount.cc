#include "shim/task/rootfs_mount.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "oci/id_map.h"
#include "oci/loop_device.h"
#include "oci/mount_options.h"
#include "oci/rootfs.h"
#include "oci/spawn.h"
#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr std::chrono::milliseconds kFuseDeadline{20000};

// The types fuse's own mount programs are for: "fuse.sshfs" is the program sshfs.
constexpr std::pair<std::string_view, const char*> kFuse[] = {{"fuse.", "mount.fuse"},
                                                              {"fuse3.", "mount.fuse3"}};

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
  const oci::MovedLayers compact = oci::compact_overlay(data);
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

Status mount_data(const RootfsMount& mount, const std::string& target, unsigned long flags,
                  const std::string& data) {
  const bool is_long = data.size() >= page_size() - 512;  // containerd's own margin
  return is_long ? mount_long(mount, target, flags, data) : call_mount(mount, target, flags, data);
}

Result<UniqueFd> namespace_of(const oci::MountOptions& options) {
  if (options.uid_map.empty() || options.gid_map.empty())
    return fail(Code::InvalidArgument,
                "an id-mapped mount needs both uidmap= and gidmap=, and has only one");
  return oci::make_user_namespace(options.uid_map, options.gid_map);
}

// A mount point that is only needed until an overlay has taken what is mounted on it.
class PassingMount {
 public:
  PassingMount() {
    std::string pattern = oci::env_or("TMPDIR", "/tmp") + "/moat-layers-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  PassingMount(const PassingMount&) = delete;
  PassingMount& operator=(const PassingMount&) = delete;
  ~PassingMount() {
    if (path_.empty()) return;
    (void)::umount2(path_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    (void)::rmdir(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// An overlay cannot be id-mapped itself; its lower layers can (kernel 5.19).
Status mount_mapped_overlay(const RootfsMount& mount, const std::string& target,
                            const oci::MountOptions& options) {
  const auto ids = namespace_of(options);
  if (!ids) return fail(ids.error());
  const PassingMount copy;
  if (copy.path().empty()) return fail_errno(errno, "a folder for the id-mapped layers");
  const oci::MovedLayers layers = oci::move_layers(options.data, copy.path());
  if (layers.folder.empty())
    return fail(Code::InvalidArgument, "id-mapped overlay: its layers have no common folder");
  auto mapped = oci::mount_id_mapped(layers.folder, copy.path(), ids->raw());
  if (!mapped) return mapped;
  return mount_data(mount, target, options.flags, layers.data);
}

Status mount_looped(RootfsMount mount, const std::string& target,
                    const oci::MountOptions& options) {
  const auto device =
      oci::attach_loop(mount.source, {(options.flags & MS_RDONLY) != 0, options.direct_io});
  if (!device) return fail(device.error());
  mount.source = device->path;
  return mount_data(mount, target, options.flags, options.data);
}

const std::pair<std::string_view, const char*>* fuse_of(const RootfsMount& mount) {
  for (const auto& fuse : kFuse)
    if (mount.type.starts_with(fuse.first)) return &fuse;
  return nullptr;
}

// The mount program returns once its daemon serves.
Status mount_fuse(const RootfsMount& mount, const std::string& target) {
  const auto* fuse = fuse_of(mount);
  oci::Command command;
  command.argv = {fuse->second, mount.source, target};
  for (const std::string& option : mount.options)
    command.argv.insert(command.argv.end(), {"-o", option});
  command.argv.insert(command.argv.end(), {"-t", mount.type.substr(fuse->first.size())});
  auto loop = oci::Loop::create();
  if (!loop) return fail(std::move(loop.error()));
  Status status;
  oci::run(**loop, std::move(command), "", kFuseDeadline, [&](Result<oci::RunResult> result) {
    if (!result)
      status = fail(std::move(result.error()));
    else if (result->timed_out || result->exit.status != 0)
      status =
          fail(Code::Unknown, std::string(fuse->second) +
                                  (result->timed_out ? " hangs: " : " failed: ") + result->output);
    (*loop)->stop();
  });
  (*loop)->run();
  return status;
}

Status mount_by_kind(const RootfsMount& mount, const std::string& target,
                     const oci::MountOptions& options) {
  const bool mapped = !options.uid_map.empty() || !options.gid_map.empty();
  if (fuse_of(mount) != nullptr) return mount_fuse(mount, target);
  if (mapped && mount.type == "overlay") return mount_mapped_overlay(mount, target, options);
  auto mounted = options.loop ? mount_looped(mount, target, options)
                              : mount_data(mount, target, options.flags, options.data);
  if (!mounted || !mapped) return mounted;
  return namespace_of(options).and_then(
      [&](const UniqueFd& ids) { return oci::mount_id_mapped(target, target, ids.raw()); });
}

}  // namespace

bool takes_time(const RootfsMount& mount) {
  const oci::MountOptions options = oci::parse_mount_options(mount.options);
  return options.loop || !options.uid_map.empty() || !options.gid_map.empty() ||
         fuse_of(mount) != nullptr;
}

Status mount_one(const std::string& rootfs, const RootfsMount& mount) {
  const oci::MountOptions options = oci::parse_mount_options(mount.options);
  auto place = place_of(rootfs, mount.target);
  if (!place) return fail(std::move(place.error()));
  auto mounted = mount_by_kind(mount, place->path, options);
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

}  // namespace moat::shim
