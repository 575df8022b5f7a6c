#include "oci/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

#include "oci/container_path.h"
#include "oci/sys.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

constexpr int kMaxSymlinks = 40;         // the kernel's own limit
constexpr std::size_t kMaxSteps = 4096;  // symlinks may multiply components
constexpr int kMaxAgain = 64;            // openat2 gives up when a rename races with ".."

std::deque<std::string> parts_of(std::string_view path) {
  std::deque<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, slash - at);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    at = slash + 1;
  }
  return parts;
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
      : root_(root), mount_points_(mount_points), parts_(parts_of(path)) {}

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
    if (!result_.directory && !S_ISREG(info.st_mode))
      return fail(Code::InvalidArgument, next + ": is neither a folder nor a file");
    result_.path = std::move(next);
    return {};
  }

  Status follow(int link, const std::string& name) {
    if (++symlinks_ > kMaxSymlinks) return fail_errno(ELOOP, name);
    auto target = link_target(link);
    if (!target) return fail(std::move(target.error()).in(name));
    auto parts = parts_of(*target);
    parts_.insert(parts_.begin(), parts.begin(), parts.end());
    if (target->starts_with('/')) result_.path = "/";
    enter();
    return {};
  }

  int root_;
  std::span<const std::string> mount_points_;
  std::deque<std::string> parts_;
  int symlinks_ = 0;
  Walked result_{"/", false, true, true};
};

}  // namespace

Result<UniqueFd> open_below(int root, const std::string& path, int flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  for (int again = 0;; ++again) {
    // By number: glibc has no wrapper.
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (fd.valid()) return fd;
    if ((errno == EAGAIN || errno == EINTR) && again < kMaxAgain) continue;
    return fail_errno(errno, path);
  }
}

Result<UniqueFd> open_root(const std::string& rootfs) {
  auto root = open_file(rootfs, O_PATH | O_DIRECTORY);
  if (!root) return fail(std::move(root.error()).in("root file system"));
  return root;
}

Result<std::string> read_regular(UniqueFd file, std::size_t limit) {
  struct stat info {};
  if (::fstat(file.raw(), &info) != 0) return fail_errno(errno, "fstat");
  if (!S_ISREG(info.st_mode)) return fail(Code::InvalidArgument, "is not a regular file");
  return read_all(file.raw(), limit);
}

Result<std::string> read_in_root(int root, const std::string& path, std::size_t limit) {
  auto file = open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_IN_ROOT);
  if (!file) return fail(std::move(file.error()));
  auto text = read_regular(std::move(*file), limit);
  if (!text) return fail(std::move(text.error()).in(path));
  return text;
}

Result<Walked> walk(int root, std::string_view path, std::span<const std::string> mount_points) {
  auto walked = Walker(root, path, mount_points).run();
  if (!walked) return fail(std::move(walked.error()).in(policies::printable(path)));
  return walked;
}

Status make_folders(int root, std::string_view path, mode_t mode, Owner owner) {
  UniqueFd at(::dup(root));
  if (!at.valid()) return fail_errno(errno, "dup");
  auto parts = parts_of(path);
  while (!parts.empty()) {
    const std::string part = std::move(parts.front());
    parts.pop_front();
    const bool made = ::mkdirat(at.raw(), part.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) return fail_errno(errno, "mkdir " + part);
    // Whoever may have been faster cannot make this a symlink to somewhere else.
    auto next = open_below(at.raw(), part, O_PATH | O_DIRECTORY | O_NOFOLLOW,
                           RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (!next) return fail(std::move(next.error()));
    at = std::move(*next);
    if (!made || !parts.empty()) continue;
    auto folder = open_below(at.raw(), ".", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH);
    if (!folder) return fail(std::move(folder.error()));
    // The owner first: a changed owner would clear nothing of a folder's mode, but umask did.
    if (::fchown(folder->raw(), owner.uid, owner.gid) != 0)
      return fail_errno(errno, "chown " + part);
    if (::fchmod(folder->raw(), mode) != 0) return fail_errno(errno, "chmod " + part);
  }
  return {};
}

}  // namespace moat::oci
