// Writing outside the scratch places, by opening a file: every flag, every way to a path.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "attempts.h"

namespace moat::victim {

namespace {

// Writes the run's name into what `fd` is, so that a look from outside finds it there.
int write_and_close(int fd, const Run& run) {
  if (fd < 0) return errno;
  const std::string line = run.id() + "\n";
  const int err = errno_unless(::write(fd, line.data(), line.size()) > 0);
  ::close(fd);
  return err;
}

int create_at(const std::string& path, const Run& run) {
  return write_and_close(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), run);
}

// The classic: adds a line to a file that is there.
int append(const Run& run) {
  return write_and_close(::open("/root/.ssh/authorized_keys", O_WRONLY | O_APPEND | O_CLOEXEC),
                         run);
}

int create(const Run& run) {
  return create_at(run.target(), run);
}

int creat_call(const Run& run) {
  return write_and_close(static_cast<int>(::syscall(SYS_creat, run.target().c_str(), 0600)), run);
}

// A refused open must not even leave an empty file.
int rdonly_creat(const Run& run) {
  return errno_unless(::open(run.target().c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
}

int rdonly_trunc(const Run& run) {
  return errno_unless(::open(run.target().c_str(), O_RDONLY | O_TRUNC | O_CLOEXEC) >= 0);
}

int trunc_call(const Run& run) {
  return errno_unless(::truncate(run.target().c_str(), 1) == 0);
}

int open_trunc(const Run& run) {
  return errno_unless(::open(run.target().c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0);
}

int open_rdwr(const Run& run) {
  return write_and_close(::open(run.target().c_str(), O_RDWR | O_CLOEXEC), run);
}

int openat2_creat(const Run& run) {
  open_how how{};
  how.flags = O_WRONLY | O_CREAT | O_CLOEXEC;
  how.mode = 0600;
  const long fd = ::syscall(SYS_openat2, AT_FDCWD, run.target().c_str(), &how, sizeof how);
  return write_and_close(static_cast<int>(fd), run);
}

int dirfd_creat(const Run& run) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
  return write_and_close(::openat(held().data, run.id().c_str(), flags, 0600), run);
}

int tmpfile_link(const Run& run) {
  const int fd = ::open("/data", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  const std::string file = "/proc/self/fd/" + std::to_string(fd);
  const int err = errno_unless(
      ::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, run.target().c_str(), AT_SYMLINK_FOLLOW) == 0);
  ::close(fd);
  return err;
}

// A link at a place where anything may be written, to one where nothing may.
int via_symlink(const Run& run) {
  if (::symlink(run.target().c_str(), run.scratch().c_str()) != 0) return errno;
  const int result = create_at(run.scratch(), run);
  ::unlink(run.scratch().c_str());
  return result;
}

int via_link_folder(const Run& run) {
  if (::symlink("/data", run.scratch().c_str()) != 0) return errno;
  const int result = create_at(run.scratch() + "/" + run.id(), run);
  ::unlink(run.scratch().c_str());
  return result;
}

int via_proc_root(const Run& run) {
  return create_at("/proc/self/root" + run.target(), run);
}

int via_dotdot(const Run& run) {
  return create_at("/tmp/.." + run.target(), run);
}

int via_cwd(const Run& run) {
  return in_child([&] {
    if (::chdir("/data") != 0) return errno;
    return create_at(run.id(), run);
  });
}

// Opened without any right, then again with rights through its descriptor.
int via_fd_reopen(const Run& run) {
  const int file = ::open(run.target().c_str(), O_PATH | O_CLOEXEC);
  if (file < 0) return errno;
  const std::string again = "/proc/self/fd/" + std::to_string(file);
  const int err = write_and_close(::open(again.c_str(), O_WRONLY | O_CLOEXEC), run);
  ::close(file);
  return err;
}

constexpr auto kModify = "filesystem.modify";
constexpr std::array kAttempts{
    Attempt{"append", kModify, "file", Planted::Nothing, append},
    Attempt{"create", kModify, "file", Planted::Nothing, create},
    Attempt{"creat_call", kModify, "file", Planted::Nothing, creat_call},
    Attempt{"rdonly_creat", kModify, "file", Planted::Nothing, rdonly_creat},
    Attempt{"rdonly_trunc", kModify, "file", Planted::File, rdonly_trunc},
    Attempt{"open_trunc", kModify, "file", Planted::File, open_trunc},
    Attempt{"open_rdwr", kModify, "file", Planted::File, open_rdwr},
    Attempt{"trunc_call", kModify, "file", Planted::File, trunc_call},
    Attempt{"openat2_creat", "filter:filesystem.modify", "file", Planted::Nothing, openat2_creat},
    Attempt{"dirfd_creat", kModify, "file", Planted::Nothing, dirfd_creat},
    Attempt{"tmpfile_link", kModify, "file", Planted::Nothing, tmpfile_link},
    Attempt{"via_symlink", kModify, "file", Planted::Nothing, via_symlink},
    Attempt{"via_link_folder", kModify, "file", Planted::Nothing, via_link_folder},
    Attempt{"via_proc_root", kModify, "file", Planted::Nothing, via_proc_root},
    Attempt{"via_dotdot", kModify, "file", Planted::Nothing, via_dotdot},
    Attempt{"via_cwd", kModify, "file", Planted::Nothing, via_cwd},
    Attempt{"via_fd_reopen", kModify, "file", Planted::File, via_fd_reopen},
};

}  // namespace

std::span<const Attempt> file_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
