// Changing files and folders outside the scratch places without opening them.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "attempts.h"

namespace moat::victim {

namespace {

constexpr auto kPlain = "/data/held";  // a file nobody minds

int rename_inside(const Run& run) {
  return errno_unless(::rename(run.target().c_str(), (run.target() + ".moved").c_str()) == 0);
}

int rename_into(const Run& run) {
  const int file = ::open(run.scratch().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  ::close(file);
  const int result = errno_unless(::rename(run.scratch().c_str(), run.target().c_str()) == 0);
  ::unlink(run.scratch().c_str());
  return result;
}

int rename_out(const Run& run) {
  return errno_unless(::rename(run.target().c_str(), run.scratch().c_str()) == 0);
}

int renameat2_call(const Run& run) {
  const long result = ::syscall(SYS_renameat2, AT_FDCWD, run.target().c_str(), AT_FDCWD,
                                (run.target() + ".other").c_str(), 0);
  return errno_unless(result == 0);
}

int link_call(const Run& run) {
  return errno_unless(::link(kPlain, run.target().c_str()) == 0);
}

int link_dirfd(const Run& run) {
  return errno_unless(::linkat(held().data, "held", held().data, run.id().c_str(), 0) == 0);
}

int symlink_call(const Run& run) {
  return errno_unless(::symlink(kPlain, run.target().c_str()) == 0);
}

int unlink_call(const Run& run) {
  return errno_unless(::unlink(run.target().c_str()) == 0);
}

int unlink_dirfd(const Run& run) {
  return errno_unless(::unlinkat(held().data, run.id().c_str(), 0) == 0);
}

int mkdir_call(const Run& run) {
  return errno_unless(::mkdir(run.target().c_str(), 0700) == 0);
}

int rmdir_call(const Run& run) {
  return errno_unless(::rmdir(run.target().c_str()) == 0);
}

int chmod_call(const Run& run) {
  return errno_unless(::chmod(run.target().c_str(), 0777) == 0);
}

int chown_call(const Run& run) {
  return errno_unless(::chown(run.target().c_str(), 1, 1) == 0);
}

int mknod_fifo(const Run& run) {
  return errno_unless(::mknod(run.target().c_str(), S_IFIFO | 0600, 0) == 0);
}

int mknod_file(const Run& run) {
  return errno_unless(::mknod(run.target().c_str(), S_IFREG | 0600, 0) == 0);
}

int utimens_call(const Run& run) {
  const timespec times[2] = {{1, 0}, {1, 0}};
  return errno_unless(::utimensat(AT_FDCWD, run.target().c_str(), times, 0) == 0);
}

int setxattr_call(const Run& run) {
  return errno_unless(::setxattr(run.target().c_str(), "user.moat", "x", 1, 0) == 0);
}

// A socket's file: no notification, so the mount is alone.
int bind_unix(const Run& run) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", run.target().c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int err =
      errno_unless(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
  return err;
}

// Through descriptors from before: no path, no notification.
int fchmod_held(const Run& run) {
  const int mode = run.tag.starts_with("load") ? 0601 : 0602;
  return errno_unless(::fchmod(held().data_file, static_cast<mode_t>(mode)) == 0);
}

int futimens_held(const Run&) {
  const timespec times[2] = {{1, 0}, {1, 0}};
  return errno_unless(::futimens(held().data_file, times) == 0);
}

constexpr auto kModify = "filesystem.modify";
constexpr std::array kAttempts{
    Attempt{"rename_inside", kModify, "file", Planted::File, rename_inside},
    Attempt{"rename_into", kModify, "file", Planted::Nothing, rename_into},
    Attempt{"rename_out", kModify, "file", Planted::File, rename_out},
    Attempt{"renameat2", kModify, "file", Planted::File, renameat2_call},
    Attempt{"link_call", kModify, "file", Planted::Nothing, link_call},
    Attempt{"link_dirfd", kModify, "file", Planted::Nothing, link_dirfd},
    Attempt{"symlink_call", kModify, "file", Planted::Nothing, symlink_call},
    Attempt{"unlink_call", kModify, "file", Planted::File, unlink_call},
    Attempt{"unlink_dirfd", kModify, "file", Planted::File, unlink_dirfd},
    Attempt{"mkdir_call", kModify, "file", Planted::Nothing, mkdir_call},
    Attempt{"rmdir_call", kModify, "file", Planted::Folder, rmdir_call},
    Attempt{"chmod_call", kModify, "file", Planted::File, chmod_call},
    Attempt{"chown_call", kModify, "file", Planted::File, chown_call},
    Attempt{"mknod_fifo", kModify, "file", Planted::Nothing, mknod_fifo},
    Attempt{"mknod_file", kModify, "file", Planted::Nothing, mknod_file},
    Attempt{"utimens_call", kModify, "file", Planted::File, utimens_call},
    Attempt{"setxattr_call", kModify, "-", Planted::File, setxattr_call},
    Attempt{"bind_unix", "silent", "file", Planted::Nothing, bind_unix},
    Attempt{"fchmod_held", "silent", "-", Planted::Nothing, fchmod_held},
    Attempt{"futimens_held", "silent", "-", Planted::Nothing, futimens_held},
};

}  // namespace

std::span<const Attempt> entry_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
