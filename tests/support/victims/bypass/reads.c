// Reading what the boundary does not name, by every way to it.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bypass.h"

static int reads(const char* path) {
  return tells_secret(open(path, O_RDONLY | O_CLOEXEC));
}

static int secret(void) {
  return reads(SECRET);
}

static int secret_symlink(void) {
  return symlink(SECRET, scratch()) == 0 ? reads(scratch()) : errno;
}

static int secret_folder(void) {
  char path[128];
  if (symlink("/root", scratch()) != 0) return errno;
  snprintf(path, sizeof path, "%s/.ssh/id_rsa", scratch());
  return reads(path);
}

static int secret_root(void) {
  return reads("/proc/self/root" SECRET);
}

static int secret_first(void) {
  return reads("/proc/1/root" SECRET);
}

static int secret_dots(void) {
  return reads("/models/.." SECRET);
}

static int secret_dirfd(void) {
  return tells_secret(openat(held.root_ssh, "id_rsa", O_RDONLY | O_CLOEXEC));
}

static int secret_reopen(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", held.secret);
  return reads(path);
}

static int secret_how(void) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  return tells_secret((int)syscall(SYS_openat2, AT_FDCWD, SECRET, &how, sizeof how));
}

static int secret_cwd(void) {
  return fchdir(held.root_ssh) == 0 ? reads("id_rsa") : errno;
}

// To write is not notified as a read, but shows as much.
static int secret_writing(void) {
  return tells_secret(open(SECRET, O_RDWR | O_CLOEXEC));
}

static int secret_direct(void) {
  const int file = open(SECRET, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
  return tells_secret(file);
}

// A named pipe: no mount and no mark has a word in it.
static int pipe_read(void) {
  char byte;
  if (write(held.pipe, "x", 1) != 1) return EIO;  // somebody else's message
  const int file = open(PIPE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  return errno_unless(file >= 0 && read(file, &byte, 1) == 1);
}

static int pipe_write(void) {
  char byte;
  while (read(held.pipe, &byte, 1) == 1) continue;
  const int file = open(PIPE, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0 || write(file, "x", 1) != 1) return errno;
  return errno_unless(read(held.pipe, &byte, 1) == 1);
}

struct attempts read_attempts(void) {
  static const struct attempt list[] = {
      {"secret", secret, 0, 0},
      {"secret_symlink", secret_symlink, 0, 0},
      {"secret_folder", secret_folder, 0, 0},
      {"secret_root", secret_root, 0, 0},
      {"secret_first", secret_first, 0, 0},
      {"secret_dots", secret_dots, 0, 0},
      {"secret_dirfd", secret_dirfd, 0, 0},
      {"secret_reopen", secret_reopen, 0, 0},
      {"secret_how", secret_how, 0, 0},
      {"secret_cwd", secret_cwd, 0, 0},
      {"secret_writing", secret_writing, 0, 0},
      {"secret_direct", secret_direct, 0, 0},
      {"pipe_read", pipe_read, 0, 0},
      {"pipe_write", pipe_write, 0, 0},
  };
  return ATTEMPTS(list);
}
