// Reading a secret, by every way to it.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "attempts.h"

namespace moat::victim {

namespace {

// Says what was read, for all to see.
int tell(int fd, const Run& run) {
  if (fd < 0) return errno;
  char text[256];
  const ssize_t n = ::read(fd, text, sizeof text - 1);
  const int err = errno;
  ::close(fd);
  if (n < 0) return err;
  std::string loot(text, static_cast<std::size_t>(n));
  for (char& c : loot)
    if (c == '\n') c = ' ';
  say("effect %s %s", run.id().c_str(), loot.c_str());
  return 0;
}

int read_at(const std::string& path, const Run& run) {
  return tell(::open(path.c_str(), O_RDONLY | O_CLOEXEC), run);
}

int read_direct(const Run& run) {
  return read_at(kSecret, run);
}

int read_symlink(const Run& run) {
  if (::symlink(kSecret, run.scratch().c_str()) != 0) return errno;
  const int result = read_at(run.scratch(), run);
  ::unlink(run.scratch().c_str());
  return result;
}

int read_hardlink(const Run& run) {
  if (::link(kSecret, run.scratch().c_str()) != 0) return errno;
  const int result = read_at(run.scratch(), run);
  ::unlink(run.scratch().c_str());
  return result;
}

int read_proc_root(const Run& run) {
  return read_at(std::string("/proc/self/root") + kSecret, run);
}

int read_dotdot(const Run& run) {
  return read_at(std::string("/models/..") + kSecret, run);
}

int read_dirfd(const Run& run) {
  return tell(::openat(held().root_ssh, "id_rsa", O_RDONLY | O_CLOEXEC), run);
}

int read_reopen(const Run& run) {
  return read_at("/proc/self/fd/" + std::to_string(held().secret_opath), run);
}

int read_openat2(const Run& run) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC;
  return tell(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, kSecret, &how, sizeof how)), run);
}

constexpr auto kRead = "filesystem.read";
constexpr std::array kAttempts{
    Attempt{"read_direct", kRead, "says", Planted::Nothing, read_direct},
    Attempt{"read_symlink", kRead, "says", Planted::Nothing, read_symlink},
    // Refused where the link would be made.
    Attempt{"read_hardlink", "filesystem.modify", "says", Planted::Nothing, read_hardlink},
    Attempt{"read_proc_root", kRead, "says", Planted::Nothing, read_proc_root},
    Attempt{"read_dotdot", kRead, "says", Planted::Nothing, read_dotdot},
    Attempt{"read_dirfd", kRead, "says", Planted::Nothing, read_dirfd},
    Attempt{"read_reopen", kRead, "says", Planted::Nothing, read_reopen},
    Attempt{"read_openat2", "filter:filesystem.read", "says", Planted::Nothing, read_openat2},
};

}  // namespace

std::span<const Attempt> read_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
