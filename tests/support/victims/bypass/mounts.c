// Another view of the file system: the old mount calls, the new ones one by one, handles.
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bypass.h"

#ifndef MS_BIND
#define MS_REMOUNT 32
#define MS_BIND 4096
#endif
enum { kOpenTreeAttr = 467 };

static long do_mount(const char* what, const char* where, const char* type, unsigned long flags) {
  return syscall(SYS_mount, what, where, type, flags, NULL);
}

static int mount_tmpfs(void) {
  return errno_unless(do_mount("none", target(), "tmpfs", 0) == 0);
}

// The same files by another mount, which nobody marked or made read-only.
static int mount_bind(void) {
  if (do_mount("/root", target(), NULL, MS_BIND) != 0) return errno;
  char path[128];
  strcat(strcpy(path, target()), "/.ssh/id_rsa");
  return tells_secret(open(path, O_RDONLY | O_CLOEXEC));
}

static int mount_proc(void) {
  return errno_unless(do_mount("proc", target(), "proc", 0) == 0);
}

static int mount_fuse(void) {
  return reached(do_mount("none", target(), "fuse", 0));
}

static int remount(void) {
  return reached(do_mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND));
}

static int unmount(void) {
  return reached(syscall(SYS_umount2, "/data", 8 /* UMOUNT_NOFOLLOW */));
}

static int pivot(void) {
  return reached(syscall(SYS_pivot_root, "/data", "/data"));
}

static int change_root(void) {
  if (syscall(SYS_chroot, "/tmp") != 0) return errno;
  return chdir("/") == 0 && !exists("/models") ? 0 : EIO;
}

static int new_open(void) {
  return close_or_errno(syscall(SYS_fsopen, "tmpfs", 0));
}

static int new_config(void) {
  return reached(syscall(SYS_fsconfig, -1, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
}

static int new_mount(void) {
  return reached(syscall(SYS_fsmount, -1, 0, 0));
}

static int new_pick(void) {
  return close_or_errno(syscall(SYS_fspick, AT_FDCWD, "/", 0));
}

static int new_move(void) {
  return reached(syscall(SYS_move_mount, AT_FDCWD, "/data", AT_FDCWD, "/models", 0));
}

static int new_tree(void) {
  const long tree = syscall(SYS_open_tree, AT_FDCWD, "/root", OPEN_TREE_CLONE);
  if (tree < 0) return errno;
  return tells_secret(openat((int)tree, ".ssh/id_rsa", O_RDONLY | O_CLOEXEC));
}

static int new_tree_attr(void) {
  struct mount_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.attr_clr = MOUNT_ATTR_RDONLY;
  return close_or_errno(
      syscall(kOpenTreeAttr, AT_FDCWD, "/", OPEN_TREE_CLONE, &attributes, sizeof attributes));
}

static int new_attr(void) {
  struct mount_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.attr_clr = MOUNT_ATTR_RDONLY;
  return errno_unless(
      syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof attributes) == 0);
}

// A file without its name. Not every file system has them, an overlay has not.
struct handle {
  struct file_handle head;
  unsigned char bytes[128];
};
static int make_handle(struct handle* handle) {
  int mount = 0;
  handle->head.handle_bytes = sizeof handle->bytes;
  return name_to_handle_at(AT_FDCWD, "/models/model.bin", &handle->head, &mount, 0) == 0 ? 0
                                                                                         : errno;
}

static int handle_name(void) {
  struct handle handle;
  const int err = make_handle(&handle);
  return err == EOPNOTSUPP ? ABSENT : err;
}

static int handle_open(void) {
  struct handle handle;
  memset(&handle, 0, sizeof handle);
  const int err = make_handle(&handle);
  if (err == EOPNOTSUPP) return ABSENT;
  const int models = open("/models", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (err != 0) return reached(open_by_handle_at(models, &handle.head, O_RDONLY));
  return close_or_errno(open_by_handle_at(models, &handle.head, O_RDONLY));
}

struct attempts mount_attempts(void) {
  static const struct attempt list[] = {
      {"mount_tmpfs", mount_tmpfs, 'd', 0},
      {"mount_bind", mount_bind, 'd', 0},
      {"mount_proc", mount_proc, 'd', 0},
      {"mount_fuse", mount_fuse, 'd', 0},
      {"remount", remount, 0, 0},
      {"unmount", unmount, 0, 0},
      {"pivot", pivot, 0, 0},
      {"change_root", change_root, 0, 0},
      {"new_open", new_open, 0, 0},
      {"new_config", new_config, 0, 0},
      {"new_mount", new_mount, 0, 0},
      {"new_pick", new_pick, 0, 0},
      {"new_move", new_move, 0, 0},
      {"new_tree", new_tree, 0, 0},
      {"new_tree_attr", new_tree_attr, 0, 0},
      {"new_attr", new_attr, 0, 0},
      {"handle_name", handle_name, 0, 0},
      {"handle_open", handle_open, 0, 0},
  };
  return ATTEMPTS(list);
}
