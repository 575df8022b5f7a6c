// mount_in PID POINT: mounts a tmpfs in a container from outside, as something that has the run of
// the node might. mount_in PID POINT --away: takes it away again.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "oci/fd.h"

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string proc = "/proc/" + std::string(argv[1]);
  const moat::UniqueFd ns(::open((proc + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC));
  const moat::UniqueFd root(::open((proc + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (::setns(ns.raw(), CLONE_NEWNS) != 0 || ::fchdir(root.raw()) != 0 || ::chroot(".") != 0) {
    std::perror("entering");
    return 1;
  }
  const int done =
      argc > 3 ? ::umount2(argv[2], MNT_DETACH) : ::mount("later", argv[2], "tmpfs", 0, "size=1m");
  if (done != 0) std::perror(argv[2]);
  return done == 0 ? 0 : 1;
}
