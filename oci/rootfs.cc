#include "oci/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "oci/container_path.h"
#include "oci/sys.h"

namespace moat::oci {
namespace {

constexpr int kMaxAgain = 64;  // openat2 gives up when a rename races with ".."

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

Status make_folders(int root, std::string_view path, mode_t mode, Owner owner) {
  auto at = open_below(root, ".", O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
  if (!at) return fail(std::move(at.error()));
  bool made = false;
  for (const std::string& part : path_parts(path)) {
    made = ::mkdirat(at->raw(), part.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) return fail_errno(errno, "mkdir " + part);
    // Whoever may have been faster cannot make this a symlink to somewhere else.
    auto next = open_below(at->raw(), part, O_PATH | O_DIRECTORY | O_NOFOLLOW,
                           RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (!next) return fail(std::move(next.error()));
    at = std::move(next);
  }
  if (!made) return {};
  auto folder = open_below(at->raw(), ".", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH);
  if (!folder) return fail(std::move(folder.error()));
  if (::fchown(folder->raw(), owner.uid, owner.gid) != 0) return fail_errno(errno, "chown");
  // mkdir's mode went through the umask.
  if (::fchmod(folder->raw(), mode) != 0) return fail_errno(errno, "chmod");
  return {};
}

}  // namespace moat::oci
