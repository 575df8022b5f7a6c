// Changing folders, and files' attributes, without opening anything.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bypass.h"

enum { kSetXattrAt = 463, kFchmodAt2 = 452, kFileSetAttr = 469 };

static int there(long result) {
  return errno_unless(result == 0 && exists(target()));
}
static int not_there(long result) {
  return errno_unless(result == 0 && !exists(target()));
}
static int mode_is(long result, unsigned mode) {
  struct stat of;
  if (result != 0 || stat(target(), &of) != 0) return errno;
  return (of.st_mode & 07777) == mode ? 0 : EIO;
}

static int link_hard(void) {
  return there(link("/data/held", target()));
}
static int link_dirfd(void) {
  return there(linkat(held.data, "held", held.data, run_id(), 0));
}
static int link_secret(void) {
  if (link(SECRET, scratch()) != 0) return errno;
  return tells_secret(open(scratch(), O_RDONLY | O_CLOEXEC));
}
static int link_soft(void) {
  return there(symlink("/data/held", target()));
}
static int rename_in(void) {
  close(open(scratch(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  return there(rename(scratch(), target()));
}
static int rename_out(void) {
  return not_there(rename(target(), scratch()));
}
static int rename_here(void) {
  char to[128];
  snprintf(to, sizeof to, "%s.moved", target());
  return not_there(rename(target(), to));
}
static int rename_swap(void) {
  close(open(scratch(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  return errno_unless(
      syscall(SYS_renameat2, AT_FDCWD, scratch(), AT_FDCWD, target(), RENAME_EXCHANGE) == 0);
}
static int rename_folder(void) {
  return not_there(rename(target(), scratch()));
}
static int remove_file(void) {
  return not_there(unlink(target()));
}
static int remove_dirfd(void) {
  return not_there(unlinkat(held.data, run_id(), 0));
}
static int remove_folder(void) {
  return not_there(rmdir(target()));
}
static int folder(void) {
  return there(mkdir(target(), 0700));
}
static int folder_dirfd(void) {
  return there(mkdirat(held.data, run_id(), 0700));
}
static int node_pipe(void) {
  return there(mkfifo(target(), 0600));
}
static int node_file(void) {
  return there(mknod(target(), S_IFREG | 0600, 0));
}
static int mode(void) {
  return mode_is(chmod(target(), 04755), 04755);
}
static int mode_dirfd(void) {
  return mode_is(fchmodat(held.data, run_id(), 0711, 0), 0711);
}
static int mode_new(void) {
  return mode_is(syscall(kFchmodAt2, AT_FDCWD, target(), 0711, 0), 0711);
}
static int owner(void) {
  return errno_unless(chown(target(), 1, 1) == 0);
}
static int owner_link(void) {
  return errno_unless(lchown(target(), 1, 1) == 0);
}
static int times(void) {
  const struct timespec values[2] = {{1, 0}, {1, 0}};
  return errno_unless(utimensat(AT_FDCWD, target(), values, 0) == 0);
}
static int unless_no_attributes(long result) {
  const int err = errno_unless(result == 0);
  return err == EOPNOTSUPP || err == ENOSYS ? ABSENT : err;
}
static int attribute(void) {
  return unless_no_attributes(setxattr(target(), "user.moat", "x", 1, 0));
}
static int attribute_at(void) {
  const struct {
    unsigned long value;
    unsigned size, flags;
  } arguments = {(unsigned long)"x", 1, 0};
  return unless_no_attributes(
      syscall(kSetXattrAt, AT_FDCWD, target(), 0, "user.moat", &arguments, sizeof arguments));
}
static int attribute_file(void) {
  const unsigned char attributes[24] = {0};
  return unless_no_attributes(
      syscall(kFileSetAttr, AT_FDCWD, target(), attributes, sizeof attributes, 0));
}
static int capability(void) {
  static const unsigned capabilities[5] = {0x2000001, 0x200000, 0, 0, 0};  // CAP_SYS_ADMIN
  return unless_no_attributes(
      setxattr(target(), "security.capability", capabilities, sizeof capabilities, 0));
}
static int socket_file(void) {
  struct sockaddr_un address = {AF_UNIX, ""};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", target());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return there(bind(fd, (struct sockaddr*)&address, sizeof address));
}

struct attempts entry_attempts(void) {
  static const struct attempt list[] = {
      {"link_hard", link_hard, 0, 0},
      {"link_dirfd", link_dirfd, 0, 0},
      {"link_secret", link_secret, 0, 0},
      {"link_soft", link_soft, 0, 0},
      {"rename_in", rename_in, 0, 0},
      {"rename_out", rename_out, 'f', 0},
      {"rename_here", rename_here, 'f', 0},
      {"rename_swap", rename_swap, 'f', 0},
      {"rename_folder", rename_folder, 'd', 0},
      {"remove_file", remove_file, 'f', 0},
      {"remove_dirfd", remove_dirfd, 'f', 0},
      {"remove_folder", remove_folder, 'd', 0},
      {"folder", folder, 0, 0},
      {"folder_dirfd", folder_dirfd, 0, 0},
      {"node_pipe", node_pipe, 0, 0},
      {"node_file", node_file, 0, 0},
      {"mode", mode, 'f', 0},
      {"mode_dirfd", mode_dirfd, 'f', 0},
      {"mode_new", mode_new, 'f', 0},
      {"owner", owner, 'f', 0},
      {"owner_link", owner_link, 'f', 0},
      {"times", times, 'f', 0},
      {"attribute", attribute, 'f', 0},
      {"attribute_at", attribute_at, 'f', 0},
      {"attribute_file", attribute_file, 'f', 0},
      {"capability", capability, 'f', 0},
      {"socket_file", socket_file, 0, 0},
  };
  return ATTEMPTS(list);
}
