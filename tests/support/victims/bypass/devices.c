// Device nodes, kernel settings and cgroups, by their files.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bypass.h"

static int opened(const char* path) {
  if (!exists(path)) return ABSENT;
  return close_or_errno(open(path, O_RDWR | O_CLOEXEC));
}

static int fault_device(void) {
  return opened("/dev/userfaultfd");
}

static int fuse_device(void) {
  return opened("/dev/fuse");
}

static int made_and_opened(const char* path, unsigned major_number, unsigned minor_number) {
  if (mknod(path, S_IFCHR | 0600, makedev(major_number, minor_number)) != 0) return errno;
  return close_or_errno(open(path, O_RDWR | O_CLOEXEC));
}

static int fuse_made(void) {
  return made_and_opened(scratch(), 10, 229);
}

static int memory_made(void) {
  return made_and_opened(scratch(), 1, 1);
}

// One that every container may open, but not through a node of its own making.
static int null_made(void) {
  return made_and_opened(scratch(), 1, 3);
}

static int written(const char* path, const char* text) {
  if (!exists(path)) return ABSENT;
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  return errno_unless(file >= 0 && write(file, text, strlen(text)) > 0);
}

static int setting(void) {
  return written("/proc/sys/kernel/domainname", "moat");
}

static int core_pattern(void) {
  const int file = open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);
  return close_or_errno(file);  // opened is enough: it is the machine's
}

static int system_request(void) {
  return close_or_errno(open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
}

static int score(void) {
  return written("/proc/1/oom_score_adj", "1000");
}

// Where the container's cgroup can be reached: out of it, or into one below it.
static const char* cgroup(void) {
  static const char* const kPlaces[] = {"/sys/fs/cgroup/cgroup.procs",
                                        "/sys/fs/cgroup/unified/cgroup.procs",
                                        "/sys/fs/cgroup/pids/cgroup.procs"};
  for (size_t i = 0; i < sizeof kPlaces / sizeof kPlaces[0]; ++i)
    if (exists(kPlaces[i])) return kPlaces[i];
  return NULL;
}

static int cgroup_move(void) {
  return cgroup() == NULL ? ABSENT : written(cgroup(), "0");
}

static int cgroup_child(void) {
  if (cgroup() == NULL) return ABSENT;
  char path[128];
  strcpy(path, cgroup());
  strcpy(strrchr(path, '/'), "/escape");
  if (mkdir(path, 0700) != 0) return errno;
  strcat(path, "/cgroup.procs");
  return written(path, "0");
}

struct attempts device_attempts(void) {
  static const struct attempt list[] = {
      {"fault_device", fault_device, 0, 0},
      {"fuse_device", fuse_device, 0, 0},
      {"fuse_made", fuse_made, 0, 0},
      {"memory_made", memory_made, 0, 0},
      {"null_made", null_made, 0, 0},
      {"setting", setting, 0, 0},
      {"core_pattern", core_pattern, 0, 0},
      {"system_request", system_request, 0, 0},
      {"score", score, 0, 0},
      {"cgroup_move", cgroup_move, 0, 0},
      {"cgroup_child", cgroup_child, 0, 0},
  };
  return ATTEMPTS(list);
}
