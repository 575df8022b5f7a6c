// Reaching other processes: their memory, their descriptors, their lives.
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

static volatile long word = 1;          // its copy in the stranger is what is changed
static const volatile long fixed = 77;  // on a page without the right to write

static int in_stranger(long expected) {
  long seen = 0;
  struct iovec local = {&seen, sizeof seen}, remote = {(void*)&word, sizeof word};
  if (process_vm_readv(held.stranger, &local, 1, &remote, 1, 0) != sizeof seen) return errno;
  return seen == expected ? 0 : EIO;
}

static int vm_read(void) {
  return in_stranger(1);
}

static int vm_write(void) {
  long value = 2;
  struct iovec local = {&value, sizeof value}, remote = {(void*)&word, sizeof word};
  if (process_vm_writev(held.stranger, &local, 1, &remote, 1, 0) != sizeof value) return errno;
  const int err = in_stranger(2);
  value = 1;
  (void)!process_vm_writev(held.stranger, &local, 1, &remote, 1, 0);
  return err;
}

static int let_go(long result) {
  if (result != 0) return errno;
  ptrace(PTRACE_INTERRUPT, held.stranger, NULL, NULL);
  waitpid(held.stranger, NULL, __WALL);
  ptrace(PTRACE_DETACH, held.stranger, NULL, NULL);
  return 0;
}

static int trace_attach(void) {
  return let_go(ptrace(PTRACE_ATTACH, held.stranger, NULL, NULL));
}

static int trace_seize(void) {
  return let_go(ptrace(PTRACE_SEIZE, held.stranger, NULL, NULL));
}

static int trace_me(void) {
  return errno_unless(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
}

// With it a tracer of the right privilege would switch the filter off.
static int trace_suspend(void) {
  return let_go(ptrace(PTRACE_SEIZE, held.stranger, NULL, (void*)PTRACE_O_SUSPEND_SECCOMP));
}

static int steal_fd(void) {
  const int process = (int)syscall(SYS_pidfd_open, 1, 0);
  if (process < 0) return errno;
  return close_or_errno(syscall(SYS_pidfd_getfd, process, STDOUT_FILENO, 0));
}

static int compare(void) {
  return errno_unless(syscall(SYS_kcmp, getpid(), 1, KCMP_FILES, 0, 0) >= 0);
}

static int advise(void) {
  const int process = (int)syscall(SYS_pidfd_open, held.stranger, 0);
  struct iovec range = {(void*)((unsigned long)&word & ~4095UL), 4096};
  return errno_unless(syscall(SYS_process_madvise, process, &range, 1, MADV_COLD, 0) >= 0);
}

static int memory_of(pid_t pid, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
  return open(path, flags | O_CLOEXEC);
}

static int mem_write(void) {
  long value = 3;
  const int memory = memory_of(held.stranger, O_RDWR);
  if (memory < 0 || pwrite(memory, &value, sizeof value, (off_t)&word) != sizeof value)
    return errno;
  const int same = pread(memory, &value, sizeof value, (off_t)&word) > 0 && value == 3;
  value = 1;
  (void)!pwrite(memory, &value, sizeof value, (off_t)&word);
  return same ? 0 : EIO;
}

static int mem_read(void) {
  long value = 0;
  const int memory = memory_of(held.stranger, O_RDONLY);
  if (memory < 0 || pread(memory, &value, sizeof value, (off_t)&word) != sizeof value) return errno;
  return value == 1 ? 0 : EIO;
}

// The kernel writes through this file whatever the page's rights are.
static int mem_self(void) {
  const long value = 78;
  const int memory = memory_of(getpid(), O_RDWR);
  if (memory < 0 || pwrite(memory, &value, sizeof value, (off_t)&fixed) != sizeof value)
    return errno;
  return fixed == 78 ? 0 : EIO;
}

static int environ_read(void) {
  char text[64], path[64];
  snprintf(path, sizeof path, "/proc/%d/environ", (int)held.stranger);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  return errno_unless(file >= 0 && read(file, text, sizeof text) > 0);
}

static int signalled(long result, int before) {
  if (result != 0) return errno;
  for (int i = 0; i < 50 && signals_taken() == before; ++i) usleep(2000);
  return signals_taken() > before ? 0 : EIO;
}

#define SIGNALS(name, call)             \
  static int name(void) {               \
    const int before = signals_taken(); \
    return signalled(call, before);     \
  }

static long queued(int call, pid_t pid) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  return call == SYS_rt_sigqueueinfo ? syscall(call, pid, SIGUSR1, &info)
                                     : syscall(call, pid, pid, SIGUSR1, &info);
}

SIGNALS(kill_first, kill(1, SIGUSR1))
SIGNALS(kill_stranger, kill(held.stranger, SIGUSR1))
SIGNALS(kill_everyone, kill(-1, SIGUSR1))
SIGNALS(tkill_first, syscall(SYS_tkill, 1, SIGUSR1))
SIGNALS(tgkill_first, syscall(SYS_tgkill, 1, 1, SIGUSR1))
SIGNALS(queue_first, queued(SYS_rt_sigqueueinfo, 1))
SIGNALS(queue_thread, queued(SYS_rt_tgsigqueueinfo, 1))
SIGNALS(pidfd_first, syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, 1, 0), SIGUSR1, 0, 0))

struct attempts process_attempts(void) {
  static const struct attempt list[] = {
      {"vm_read", vm_read, 0, 0},
      {"vm_write", vm_write, 0, 0},
      {"trace_attach", trace_attach, 0, 0},
      {"trace_seize", trace_seize, 0, 0},
      {"trace_me", trace_me, 0, 0},
      {"trace_suspend", trace_suspend, 0, 0},
      {"steal_fd", steal_fd, 0, 0},
      {"compare", compare, 0, 0},
      {"advise", advise, 0, 0},
      {"mem_write", mem_write, 0, 0},
      {"mem_read", mem_read, 0, 0},
      {"mem_self", mem_self, 0, 0},
      {"environ_read", environ_read, 0, 0},
      {"kill_first", kill_first, 0, 0},
      {"kill_stranger", kill_stranger, 0, 0},
      {"kill_everyone", kill_everyone, 0, 0},
      {"tkill_first", tkill_first, 0, 0},
      {"tgkill_first", tgkill_first, 0, 0},
      {"queue_first", queue_first, 0, 0},
      {"queue_thread", queue_thread, 0, 0},
      {"pidfd_first", pidfd_first, 0, 0},
  };
  return ATTEMPTS(list);
}
