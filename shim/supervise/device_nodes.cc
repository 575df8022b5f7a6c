#include "shim/supervise/device_nodes.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "oci/sys.h"

namespace moat::shim {

namespace {

using policies::DeviceNode;

constexpr int kMaxDepth = 4;  // /dev/nvidia-caps-imex-channels/channel0 is the deepest known

UniqueFd open_below(int root, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

// Other file systems may answer late, or never; nodes are on these.
bool is_of_kernel(int fd) {
  struct statfs fs {};
  if (::fstatfs(fd, &fs) != 0) return false;
  return fs.f_type == TMPFS_MAGIC || fs.f_type == DEVPTS_SUPER_MAGIC || fs.f_type == RAMFS_MAGIC;
}

class Walk {
 public:
  explicit Walk(int root) : root_(root) {}

  Status add(const std::string& path, const struct stat& status) {
    if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) return {};
    if (nodes_.size() == policies::kMaxDeviceNodes)
      return fail(Code::ResourceExhausted,
                  "more than " + std::to_string(nodes_.size()) + " device nodes in the container");
    nodes_.push_back({path, S_ISBLK(status.st_mode),
                      static_cast<std::uint32_t>(major(status.st_rdev)),
                      static_cast<std::uint32_t>(minor(status.st_rdev))});
    return {};
  }

  Status folder(const std::string& path, int depth) {
    const UniqueFd place = open_below(root_, path, O_PATH | O_DIRECTORY);
    if (!place.valid() || !is_of_kernel(place.raw())) return {};
    const int fd = ::openat(place.raw(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(fd < 0 ? nullptr : ::fdopendir(fd),
                                                      &::closedir);
    if (!entries) return fail_errno(errno, path + " of the container");
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string name = entry->d_name;
      struct stat status {};
      if (name == "." || name == ".." ||
          ::fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      const std::string inner = path + "/" + name;
      if (auto added = add(inner, status); !added) return added;
      if (!S_ISDIR(status.st_mode) || depth == kMaxDepth) continue;
      if (auto walked = folder(inner, depth + 1); !walked) return walked;
    }
    return {};
  }

  Status one(const std::string& path) {
    const UniqueFd node = open_below(root_, path, O_PATH);
    struct stat status {};
    if (!node.valid() || ::fstat(node.raw(), &status) != 0) return {};
    return add(path, status);
  }

  std::vector<DeviceNode> take() && { return std::move(nodes_); }

 private:
  int root_;
  std::vector<DeviceNode> nodes_;
};

}  // namespace

Result<std::vector<DeviceNode>> device_nodes(pid_t init, const std::vector<std::string>& listed) {
  const auto root = oci::open_file("/proc/" + std::to_string(init) + "/root", O_PATH | O_DIRECTORY);
  if (!root) return fail(Error(root.error()));
  Walk walk(root->raw());
  if (auto walked = walk.folder("/dev", 1); !walked) return fail(std::move(walked.error()));
  for (const std::string& path : listed)
    if (!path.starts_with("/dev/"))
      if (auto added = walk.one(path); !added) return fail(std::move(added.error()));
  return std::move(walk).take();
}

}  // namespace moat::shim
