#include "shim/supervise/readonly_probe.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "oci/fd.h"

namespace moat::shim {

// On a file system nobody else sees.
Status try_readonly_mount() {
  const UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!context.valid()) return fail_errno(errno, "fsopen");
  if (::syscall(SYS_fsconfig, context.raw(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_errno(errno, "fsconfig");
  const UniqueFd mount(static_cast<int>(::syscall(SYS_fsmount, context.raw(), FSMOUNT_CLOEXEC, 0)));
  if (!mount.valid()) return fail_errno(errno, "fsmount");
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, mount.raw(), "", AT_EMPTY_PATH, &attributes,
                sizeof attributes) != 0)
    return fail_errno(errno, "mount_setattr");
  const UniqueFd made(::openat(mount.raw(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (!made.valid() && errno == EROFS) return {};
  return fail(Code::Unavailable, "mount_setattr: a mount turned read-only takes a new file");
}

}  // namespace moat::shim
