// Writing outside the writable places, by opening: every flag, every way to a path, descriptors
// from before.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bypass.h"

static int there(long fd) {
  if (fd < 0) return errno;
  return errno_unless(exists(target()));
}

static off_t size_of(const char* path) {
  struct stat of;
  return stat(path, &of) == 0 ? of.st_size : -1;
}

static int creates(const char* path) {
  return there(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int create(void) {
  return creates(target());
}

static int create_old(void) {
#ifdef SYS_creat
  return there(syscall(SYS_creat, target(), 0600));
#else
  return ABSENT;
#endif
}

static int create_reading(void) {
  return there(open(target(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int create_how(void) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = O_WRONLY | O_CREAT | O_CLOEXEC;
  how.mode = 0600;
  return there(syscall(SYS_openat2, AT_FDCWD, target(), &how, sizeof how));
}

static int create_dirfd(void) {
  return there(openat(held.data, run_id(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int create_symlink(void) {
  return symlink(target(), scratch()) == 0 ? creates(scratch()) : errno;
}

static int create_through(const char* before) {
  char path[160];
  snprintf(path, sizeof path, "%s%s", before, target());
  return creates(path);
}

static int create_root(void) {
  return create_through("/proc/self/root");
}

static int create_first(void) {
  return create_through("/proc/1/root");
}

static int create_dots(void) {
  return create_through("/tmp/..");
}

static int create_cwd(void) {
  return chdir("/data") == 0 ? creates(run_id()) : errno;
}

static int create_named(void) {
  const int file = open("/data", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  char path[64];
  if (file < 0) return errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return linkat(AT_FDCWD, path, AT_FDCWD, target(), AT_SYMLINK_FOLLOW) == 0 ? there(0) : errno;
}

static int cuts(long result) {
  if (result < 0) return errno;
  return size_of(target()) < 8 ? 0 : EIO;
}

static int cut(void) {
  return cuts(truncate(target(), 1));
}

static int cut_reading(void) {
  return cuts(open(target(), O_RDONLY | O_TRUNC | O_CLOEXEC));
}

static int cut_writing(void) {
  return cuts(open(target(), O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static int writes_there(int file) {
  if (file < 0 || write(file, "written over it\n", 16) != 16) return errno;
  return size_of(target()) >= 16 ? 0 : EIO;
}

static int overwrite(void) {
  return writes_there(open(target(), O_RDWR | O_CLOEXEC));
}

static int append(void) {
  return writes_there(open(target(), O_WRONLY | O_APPEND | O_CLOEXEC));
}

// Opened to read, then again with more rights through its descriptor.
static int again(int flags) {
  const int file = open(target(), flags | O_CLOEXEC);
  char path[64];
  if (file < 0) return errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return writes_there(open(path, O_WRONLY | O_CLOEXEC));
}

static int reopen(void) {
  return again(O_RDONLY);
}

static int reopen_path(void) {
  return again(O_PATH);
}

// Through the descriptor from before: no path, no notification.
static int held_again(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", held.data_file);
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  return errno_unless(file >= 0 && write(file, "x", 1) == 1);
}

static int held_mode(void) {
  return errno_unless(fchmod(held.data_file, in_phase("load") ? 0601 : 0602) == 0);
}

static int held_owner(void) {
  return errno_unless(fchown(held.data_file, 1, 1) == 0);
}

static int held_times(void) {
  const struct timespec times[2] = {{1, 0}, {1, 0}};
  return errno_unless(futimens(held.data_file, times) == 0);
}

static int held_attribute(void) {
  const int err = errno_unless(fsetxattr(held.data_file, "user.moat", "x", 1, 0) == 0);
  return err == EOPNOTSUPP ? ABSENT : err;
}

static int held_flags(void) {
  const int flags = FS_NOATIME_FL;
  const int err = errno_unless(ioctl(held.data_file, FS_IOC_SETFLAGS, &flags) == 0);
  return err == EOPNOTSUPP || err == ENOTTY ? ABSENT : err;
}

static int held_empty(void) {
  const int err = linkat(held.data_file, "", held.data, run_id(), AT_EMPTY_PATH);
  return err == 0 ? there(0) : errno;
}

struct attempts file_attempts(void) {
  static const struct attempt list[] = {
      {"create", create, 0, 0},
      {"create_old", create_old, 0, 0},
      {"create_reading", create_reading, 0, 0},
      {"create_how", create_how, 0, 0},
      {"create_dirfd", create_dirfd, 0, 0},
      {"create_symlink", create_symlink, 0, 0},
      {"create_root", create_root, 0, 0},
      {"create_first", create_first, 0, 0},
      {"create_dots", create_dots, 0, 0},
      {"create_cwd", create_cwd, 0, 0},
      {"create_named", create_named, 0, 0},
      {"cut", cut, 'f', 0},
      {"cut_reading", cut_reading, 'f', 0},
      {"cut_writing", cut_writing, 'f', 0},
      {"overwrite", overwrite, 'f', 0},
      {"append", append, 'f', 0},
      {"reopen", reopen, 'f', 0},
      {"reopen_path", reopen_path, 'f', 0},
      {"held_again", held_again, 0, 0},
      {"held_mode", held_mode, 0, 0},
      {"held_owner", held_owner, 0, 0},
      {"held_times", held_times, 0, 0},
      {"held_attribute", held_attribute, 0, 0},
      {"held_flags", held_flags, 0, 0},
      {"held_empty", held_empty, 0, 0},
  };
  return ATTEMPTS(list);
}
