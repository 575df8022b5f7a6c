// Namespaces and tables of one's own, by unshare, clone, clone3 and setns; filters of one's own.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

#define UNSHARES(name, flag)                 \
  static int name(void) {                    \
    return errno_unless(unshare(flag) == 0); \
  }
UNSHARES(own_files, CLONE_FILES)
UNSHARES(own_fs, CLONE_FS)
UNSHARES(own_user, CLONE_NEWUSER)
UNSHARES(own_mounts, CLONE_NEWNS)
UNSHARES(own_network, CLONE_NEWNET)
UNSHARES(own_pids, CLONE_NEWPID)
UNSHARES(own_uts, CLONE_NEWUTS)
UNSHARES(own_ipc, CLONE_NEWIPC)
UNSHARES(own_cgroup, CLONE_NEWCGROUP)
UNSHARES(own_time, 0x80)

static int cloned(unsigned long flags) {
  const long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  if (child < 0) return errno;
  waitpid((pid_t)child, NULL, 0);
  return 0;
}

#define CLONES(name, flag) \
  static int name(void) {  \
    return cloned(flag);   \
  }
CLONES(clone_user, CLONE_NEWUSER)
CLONES(clone_mounts, CLONE_NEWNS)
CLONES(clone_network, CLONE_NEWNET)
CLONES(clone_pids, CLONE_NEWPID)
CLONES(clone_uts, CLONE_NEWUTS)
CLONES(clone_ipc, CLONE_NEWIPC)
CLONES(clone_cgroup, CLONE_NEWCGROUP)

// Its flags are in memory, where a filter cannot see them.
static int clone3_with(unsigned long flags) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  if (child < 0) return errno;
  waitpid((pid_t)child, NULL, 0);
  return 0;
}

static int clone3_plain(void) {
  return clone3_with(0);
}

static int clone3_mounts(void) {
  return clone3_with(CLONE_NEWNS);
}

// Into another cgroup: programs at the container's would see nothing.
static int clone3_cgroup(void) {
  const int hybrid = exists("/sys/fs/cgroup/unified");
  const int group = open(hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup",
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (group < 0 || faccessat(group, "cgroup.procs", F_OK, 0) != 0) return ABSENT;
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = (unsigned)group;
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  return errno_unless(child > 0);
}

static int set_space(const char* path, int kind) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  return errno_unless(setns(fd, kind) == 0);
}

static int set_uts(void) {
  return set_space("/proc/1/ns/uts", CLONE_NEWUTS);
}

static int set_mounts(void) {
  return set_space("/proc/self/ns/mnt", CLONE_NEWNS);
}

static int set_by_pidfd(void) {
  const int process = (int)syscall(SYS_pidfd_open, held.stranger, 0);
  return errno_unless(process >= 0 && setns(process, CLONE_NEWUTS) == 0);
}

// A thread with a table of descriptors of its own: what the leader's number stands for is another.
static volatile int thread_result = -1;
static int connect_apart(void* unused) {
  (void)unused;
  const struct sockaddr_in to = {AF_INET, htons(CANARY_PORT), {htonl(INADDR_LOOPBACK)}, {0}};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&to, sizeof to) != 0)
    return thread_result = errno;
  return thread_result = errno_unless(dprintf(fd, "%s\n", run_id()) > 0);
}

static int thread_apart(void) {
  char* stack = malloc(256 << 10);
  if (clone(connect_apart, stack + (256 << 10), CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL) < 0)
    return errno;
  for (int i = 0; i < 2000 && thread_result < 0; ++i) usleep(1000);
  return thread_result < 0 ? EIO : thread_result;
}

static int filter(unsigned flags) {
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// Whoever answers a listener of its own first would decide.
static int listener(void) {
  return close_or_errno(filter(SECCOMP_FILTER_FLAG_NEW_LISTENER));
}

// A filter that lets all through: nothing of the older one may be gone with it.
static int lax_filter(void) {
  if (filter(SECCOMP_FILTER_FLAG_TSYNC) != 0) return errno;
  const long fd = syscall(SYS_openat, AT_FDCWD, target(), O_WRONLY | O_CREAT, 0600);
  return errno_unless(fd >= 0 && exists(target()));
}

struct attempts space_attempts(void) {
  static const struct attempt list[] = {
      {"own_files", own_files, 0, 0},
      {"own_fs", own_fs, 0, 0},
      {"own_user", own_user, 0, 0},
      {"own_mounts", own_mounts, 0, 0},
      {"own_network", own_network, 0, 0},
      {"own_pids", own_pids, 0, 0},
      {"own_uts", own_uts, 0, 0},
      {"own_ipc", own_ipc, 0, 0},
      {"own_cgroup", own_cgroup, 0, 0},
      {"own_time", own_time, 0, 0},
      {"clone_user", clone_user, 0, 0},
      {"clone_mounts", clone_mounts, 0, 0},
      {"clone_network", clone_network, 0, 0},
      {"clone_pids", clone_pids, 0, 0},
      {"clone_uts", clone_uts, 0, 0},
      {"clone_ipc", clone_ipc, 0, 0},
      {"clone_cgroup", clone_cgroup, 0, 0},
      {"clone3_plain", clone3_plain, 0, 0},
      {"clone3_mounts", clone3_mounts, 0, 0},
      {"clone3_cgroup", clone3_cgroup, 0, 0},
      {"set_uts", set_uts, 0, 0},
      {"set_mounts", set_mounts, 0, 0},
      {"set_by_pidfd", set_by_pidfd, 0, 0},
      {"thread_apart", thread_apart, 0, 0},
      {"listener", listener, 0, 0},
      {"lax_filter", lax_filter, 0, 0},
  };
  return ATTEMPTS(list);
}
