#include "oci/walk.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

#include "oci/container_path.h"
#include "oci/rootfs.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

constexpr int kMaxSymlinks = 40;         // the kernel's own limit
constexpr std::size_t kMaxSteps = 4096;  // symlinks may multiply components

std::deque<std::string> deque_of(std::string_view path) {
  const auto parts = path_parts(path);
  return {parts.begin(), parts.end()};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string join(const std::string& parent, std::string_view name) {
  std::string path = parent == "/" ? "" : parent;
  return path.append("/").append(name);
}

Result<std::string> link_target(int link) {
  std::array<char, kMaxPath + 1> target{};
  const ssize_t length = ::readlinkat(link, "", target.data(), target.size());
  if (length < 0) return fail_errno(errno, "readlink");
  return std::string(target.data(), static_cast<std::size_t>(length));
}

// One path on its way. `at` has no symlinks left in it, so its parent is what ".." means.
class Walker {
 public:
  Walker(int root, std::string_view path, std::span<const std::string> mount_points)
      : root_(root), mount_points_(mount_points), parts_(deque_of(path)) {}

  Result<Walked> run() {
    for (std::size_t steps = 0; !parts_.empty(); ++steps) {
      if (steps == kMaxSteps) return fail_errno(ELOOP, result_.path);
      std::string part = std::move(parts_.front());
      parts_.pop_front();
      if (part == "..") {
        result_.path = parent_of(result_.path);
        enter();
        continue;
      }
      if (auto status = step(join(result_.path, part)); !status)
        return fail(std::move(status.error()));
    }
    if (policies::find_invalid_utf8(result_.path))
      return fail(Code::InvalidArgument, "leads to a name that is not UTF-8");
    return std::move(result_);
  }

 private:
  // ".." may have left a mount or a gap: what is known of the place is looked up afresh.
  void enter() {
    result_.in_mount = std::ranges::any_of(
        mount_points_, [&](const std::string& point) { return at_or_below(result_.path, point); });
    result_.exists = result_.directory = !result_.in_mount;
  }

  Status step(std::string next) {
    result_.in_mount = std::ranges::any_of(
        mount_points_, [&](const std::string& point) { return at_or_below(next, point); });
    UniqueFd found;
    if (!result_.in_mount) {
      auto opened = open_below(root_, next, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT);
      if (!opened && opened.error().err != ENOENT) return fail(std::move(opened.error()));
      if (opened) found = std::move(*opened);
    }
    result_.exists = found.valid();
    if (!found.valid()) {
      result_.directory = false;
      result_.path = std::move(next);
      return {};
    }
    return arrive(found.raw(), std::move(next));
  }

  Status arrive(int found, std::string next) {
    struct stat info {};
    if (::fstat(found, &info) != 0) return fail_errno(errno, next);
    if (S_ISLNK(info.st_mode)) return follow(found, next);
    result_.directory = S_ISDIR(info.st_mode);
    if (!result_.directory && !parts_.empty()) return fail_errno(ENOTDIR, next);
    result_.special = !result_.directory && !S_ISREG(info.st_mode);
    result_.path = std::move(next);
    return {};
  }

  Status follow(int link, const std::string& name) {
    if (++symlinks_ > kMaxSymlinks) return fail_errno(ELOOP, name);
    auto target = link_target(link);
    if (!target) return fail(std::move(target.error()).in(name));
    const auto parts = path_parts(*target);
    parts_.insert(parts_.begin(), parts.begin(), parts.end());
    if (target->starts_with('/')) result_.path = "/";
    enter();
    return {};
  }

  int root_;
  std::span<const std::string> mount_points_;
  std::deque<std::string> parts_;
  int symlinks_ = 0;
  Walked result_{"/", false, true, true, false};
};

}  // namespace

Result<Walked> walk(int root, std::string_view path, std::span<const std::string> mount_points) {
  auto walked = Walker(root, path, mount_points).run();
  if (!walked) return fail(std::move(walked.error()).in(policies::printable(path)));
  return walked;
}

}  // namespace moat::oci
