// Attempts that only some policies refuse, or only some containers can make: code that is in no
// program's file, and device nodes beyond the usual ones. Not among `all`.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "attempts.h"

namespace moat::victim {

namespace {

constexpr std::size_t kSize = 4096;
constexpr int kRun = PROT_READ | PROT_EXEC;

int done(void* at) {
  if (at == MAP_FAILED) return errno;
  ::munmap(at, kSize);
  return 0;
}

int mapped(const std::string& path, int open_flags, int protection) {
  const int fd = ::open(path.c_str(), open_flags | O_CLOEXEC, 0700);
  if (fd < 0) return errno;
  if ((open_flags & O_CREAT) != 0 && ::ftruncate(fd, kSize) != 0) return errno;
  const int err = done(::mmap(nullptr, kSize, protection, MAP_PRIVATE, fd, 0));
  ::close(fd);
  return err;
}

int then_run(void* at) {
  if (at == MAP_FAILED) return errno;
  const int err = errno_unless(::mprotect(at, kSize, kRun) == 0);
  ::munmap(at, kSize);
  return err;
}

int code_map(const Run&) {
  return done(::mmap(nullptr, kSize, kRun | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int code_shared(const Run&) {
  return done(::mmap(nullptr, kSize, kRun | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

int code_protect(const Run&) {
  return then_run(
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int code_pkey(const Run&) {
  void* at = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return errno;
  const int err = errno_unless(::syscall(SYS_pkey_mprotect, at, kSize, kRun, -1) == 0);
  ::munmap(at, kSize);
  return err;
}

// A private copy of a program's page, to be filled with something else.
int code_copy(const Run&) {
  return mapped("/bin/model_server", O_RDONLY, kRun | PROT_WRITE);
}

int code_zero(const Run&) {
  return mapped("/dev/zero", O_RDONLY, kRun);
}

int code_zero_late(const Run&) {
  const int fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  void* at = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  ::close(fd);
  return then_run(at);
}

int code_scratch(const Run& run) {
  return mapped(run.scratch() + ".code", O_RDWR | O_CREAT, kRun);
}

int code_shm(const Run&) {
  const int id = ::shmget(IPC_PRIVATE, kSize, IPC_CREAT | 0700);
  if (id < 0) return errno;
  void* at = ::shmat(id, nullptr, SHM_EXEC);
  const int err = errno_unless(at != reinterpret_cast<void*>(-1));
  if (err == 0) ::shmdt(at);
  ::shmctl(id, IPC_RMID, nullptr);
  return err;
}

int code_memfd(const Run&) {
  const int fd = ::memfd_create("code", MFD_CLOEXEC);
  if (fd < 0) return errno;
  if (::ftruncate(fd, kSize) != 0) return errno;
  const int err = done(::mmap(nullptr, kSize, kRun, MAP_SHARED, fd, 0));
  ::close(fd);
  return err;
}

// What is mapped to be read is then to be run as well.
int code_implied(const Run&) {
  return in_child([] { return errno_unless(::personality(READ_IMPLIES_EXEC) >= 0); });
}

int opened(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

// A node of the container's that no phase after init lists.
int dev_kmsg(const Run&) {
  return opened("/dev/kmsg", O_RDONLY);
}

// The same by another name: the kernel compares numbers.
int dev_alias(const Run& run) {
  const std::string link = run.scratch() + ".kmsg";
  if (::symlink("/dev/kmsg", link.c_str()) != 0 && errno != EEXIST) return errno;
  return opened(link, O_RDONLY);
}

int dev_make(const Run& run) {
  const std::string node = run.scratch() + ".node";
  if (::mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 11)) != 0) return errno;
  const int err = opened(node, O_RDONLY);
  ::unlink(node.c_str());
  return err;
}

int dev_make_only(const Run& run) {
  const std::string node = run.scratch() + ".made";
  const int err = errno_unless(::mknod(node.c_str(), S_IFCHR | 0600, makedev(10, 237)) == 0);
  ::unlink(node.c_str());
  return err;
}

int dev_held(const Run&) {
  return held().node < 0 ? EBADF : opened("/proc/self/fd/" + std::to_string(held().node), O_RDONLY);
}

int dev_null(const Run&) {
  return opened("/dev/null", O_RDWR);
}

int dev_terminal(const Run&) {
  return opened("/dev/ptmx", O_RDWR);
}

constexpr auto kCode = "filesystem.exec";
constexpr auto kDevice = "device.access";
constexpr std::array kAttempts{
    Attempt{"code_map", kCode, "-", Planted::Nothing, code_map},
    Attempt{"code_shared", kCode, "-", Planted::Nothing, code_shared},
    Attempt{"code_protect", kCode, "-", Planted::Nothing, code_protect},
    Attempt{"code_pkey", kCode, "-", Planted::Nothing, code_pkey},
    Attempt{"code_copy", kCode, "-", Planted::Nothing, code_copy},
    Attempt{"code_zero", "silent", "-", Planted::Nothing, code_zero},
    Attempt{"code_zero_late", kCode, "-", Planted::Nothing, code_zero_late},
    Attempt{"code_scratch", "silent", "-", Planted::Nothing, code_scratch},
    Attempt{"code_shm", kCode, "-", Planted::Nothing, code_shm},
    Attempt{"code_memfd", kCode, "-", Planted::Nothing, code_memfd},
    Attempt{"code_implied", "filter", "-", Planted::Nothing, code_implied},
    Attempt{"dev_kmsg", kDevice, "-", Planted::Nothing, dev_kmsg},
    Attempt{"dev_alias", kDevice, "-", Planted::Nothing, dev_alias},
    Attempt{"dev_make", kDevice, "-", Planted::Nothing, dev_make},
    Attempt{"dev_make_only", kDevice, "-", Planted::Nothing, dev_make_only},
    Attempt{"dev_held", kDevice, "-", Planted::Nothing, dev_held},
    Attempt{"dev_null", "-", "-", Planted::Nothing, dev_null},
    Attempt{"dev_terminal", "-", "-", Planted::Nothing, dev_terminal},
};

}  // namespace

std::span<const Attempt> special_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
