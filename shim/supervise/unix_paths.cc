#include "shim/supervise/unix_paths.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "oci/sys.h"
#include "shim/supervise/writers.h"

namespace moat::shim {

namespace {

constexpr int kMostLinks = 40;      // as the kernel follows them
constexpr int kMostEntries = 4096;  // of a folder's tree
constexpr std::string_view kBelow = "/**";

tl::unexpected<Error> changeable(const std::string& path, const std::string& why) {
  return fail(Code::FailedPrecondition,
              "the policy's unix:" + path + " cannot be held to its name: " + why +
                  "; let the policy name the place it leads to, or take that out of scratch");
}

class Walk {
 public:
  Walk(std::string goal, const std::vector<MountEntry>& mounts, const StaysWritable& stays_writable)
      : goal_(std::move(goal)), mounts_(mounts), stays_writable_(stays_writable) {}

  Status run() {
    const bool below = goal_.ends_with(kBelow);
    const std::string path = below ? goal_.substr(0, goal_.size() - kBelow.size()) : goal_;
    auto end = follow(path);
    if (!end) return fail(Error(end.error()));
    return below && end->valid() ? tree(*end, path) : Status();
  }

 private:
  // What stands there in the end: a folder's descriptor, or none.
  Result<UniqueFd> follow(const std::string& path) {
    auto root = oci::open_file("/", O_PATH | O_DIRECTORY);
    if (!root) return fail(std::move(root.error()));
    std::vector<UniqueFd> stack;
    stack.push_back(std::move(*root));
    std::string rest = path;
    for (int links = 0; !rest.empty();) {
      const std::size_t slash = std::min(rest.find('/'), rest.size());
      const std::string part = rest.substr(0, slash);
      rest.erase(0, std::min(slash + 1, rest.size()));
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (stack.size() > 1) stack.pop_back();
        continue;
      }
      if (auto fixed = check(stack.back().raw()); !fixed) return fail(std::move(fixed.error()));
      UniqueFd next(::openat(stack.back().raw(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      struct stat info {};
      if (!next.valid() || ::fstat(next.raw(), &info) != 0)
        return UniqueFd();  // nor can it be made
      if (S_ISDIR(info.st_mode)) {
        stack.push_back(std::move(next));
        continue;
      }
      if (!S_ISLNK(info.st_mode)) return UniqueFd();
      std::array<char, 4096> target{};
      const ssize_t size = ::readlinkat(next.raw(), "", target.data(), target.size());
      if (size <= 0 || ++links > kMostLinks) return changeable(goal_, "too many symlinks");
      if (target[0] == '/') stack.resize(1);
      rest = std::string(target.data(), static_cast<std::size_t>(size)) + "/" + rest;
    }
    if (auto fixed = check(stack.back().raw()); !fixed) return fail(std::move(fixed.error()));
    return std::move(stack.back());
  }

  Status tree(const UniqueFd& folder, const std::string& path) {
    const int fd = ::openat(folder.raw(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(fd < 0 ? nullptr : ::fdopendir(fd), &::closedir);
    if (!dir) return fail_errno(errno, path);
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++seen_ > kMostEntries) return changeable(goal_, "there is too much in it to look at");
      if (entry->d_type != DT_LNK && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
        continue;
      std::string inside = path;
      inside += "/" + name;
      auto end = follow(inside);
      if (!end) return fail(std::move(end.error()));
      if (entry->d_type == DT_LNK || !end->valid()) continue;
      if (auto below = tree(*end, inside); !below) return below;
    }
    return {};
  }

  // Nobody in the container will be able to put something else there.
  Status check(int folder) const {
    const std::uint64_t id = mount_id_of(folder);
    const auto mount = std::ranges::find(mounts_, id, &MountEntry::id);
    if (mount == mounts_.end()) return changeable(goal_, "its mount is not known");
    const std::string path = link_of_fd(folder);
    if (stays_writable_(*mount)) return changeable(goal_, path + " stays writable");
    if (!is_below(path, mount->point)) return changeable(goal_, path + " has moved");
    const std::string real = joined(
        mount->root, path.substr(std::min(
                         path.size(), mount->point == "/" ? std::size_t{0} : mount->point.size())));
    for (const MountEntry& other : mounts_)
      if (other.device == mount->device && stays_writable_(other) && is_below(real, other.root))
        return changeable(goal_, path + " can be written to through " + other.point);
    return {};
  }

  static std::string joined(const std::string& root, const std::string& rest) {
    if (rest.empty() || rest == "/") return root;
    return root == "/" ? rest : root + rest;
  }

  std::string goal_;
  const std::vector<MountEntry>& mounts_;
  const StaysWritable& stays_writable_;
  int seen_ = 0;
};

}  // namespace

std::vector<std::string> unix_paths(const policies::Policy& policy) {
  std::vector<std::string> paths;
  for (const policies::Phase phase : policies::kPhases) {
    const policies::NetworkRules& rules = policy.boundary(phase).network;
    if (rules.any || rules.any_unix) continue;
    for (const policies::UnixRule& rule : rules.unix_names) {
      if (rule.abstract()) continue;
      std::string path = rule.name + (rule.below ? std::string(kBelow) : std::string());
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
    }
  }
  return paths;
}

Status check_unix_path(const std::string& path, const std::vector<MountEntry>& mounts,
                       const StaysWritable& stays_writable) {
  return Walk(path, mounts, stays_writable).run();
}

}  // namespace moat::shim
