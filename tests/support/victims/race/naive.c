// A supervisor as it is often built: it reads the argument, checks it, and lets the call go on. The
// check is a good one, by inode and by address. That races are won against it shows that they can
// be.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

#define ASK(number)                                    \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

static int install_filter(void) {
  static struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ASK(SYS_openat),
      ASK(SYS_connect),
      ASK(SYS_sendto),
      ASK(SYS_sendmsg),
      ASK(SYS_sendmmsg),
      ASK(SYS_execve),
      ASK(SYS_execveat),
#ifdef SYS_link
      ASK(SYS_link),
      ASK(SYS_rename),
      ASK(SYS_unlink),
      ASK(SYS_mkdir),
#endif
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof code / sizeof code[0], code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                      &program);
}

static int copy(pid_t from, unsigned long long where, void* to, size_t size) {
  struct iovec local = {to, size}, remote = {(void*)(unsigned long)where, size};
  memset(to, 0, size);
  return process_vm_readv(from, &local, 1, &remote, 1, 0) > 0;
}

static int is_canary(pid_t pid, unsigned long long where) {
  struct sockaddr_in to;  // of both families the port is at the same place
  return where != 0 && copy(pid, where, &to, sizeof to) && to.sin_port == htons(CANARY_PORT);
}

static int is_bad_message(pid_t pid, unsigned long long where) {
  struct msghdr message;
  return copy(pid, where, &message, sizeof message) &&
         is_canary(pid, (unsigned long)message.msg_name);
}

static int is_bad_socket(pid_t pid, int fd) {
  struct sockaddr_in peer;
  socklen_t size = sizeof peer;
  const int process = (int)syscall(SYS_pidfd_open, pid, 0);
  const int socket = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
  const int bad = getpeername(socket, (struct sockaddr*)&peer, &size) == 0 &&
                  peer.sin_port == htons(CANARY_PORT);
  close(process);
  close(socket);
  return bad;
}

// Where what is at a path, not what it leads to, is changed, the name has to do.
static int is_bad_name(pid_t pid, unsigned long long where) {
  char path[256];
  return !copy(pid, where, path, sizeof path - 1) || strncmp(path, "/data/", 6) == 0;
}

// The table of descriptors is taken for the leader's, which is what a pidfd gives.
static pid_t leader;

static int is_bad_path(pid_t pid, int folder, unsigned long long where) {
  static const char* const kNew[] = {"/data/", "/proc/self/mem"};
  char path[256], full[320];
  if (!copy(pid, where, path, sizeof path - 1)) return 1;
  path[sizeof path - 1] = '\0';
  if (path[0] == '/')
    snprintf(full, sizeof full, "%s", path);
  else
    snprintf(full, sizeof full, "/proc/%d/fd/%d%s%s", (int)leader, folder, path[0] ? "/" : "",
             path);
  const struct identity what = identity_of(full);
  const struct identity bad[] = {secret_file, target_file, keys_file, target_program,
                                 identity_of(LOADER)};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
    if (what.inode == bad[i].inode && what.device == bad[i].device) return 1;
  for (size_t i = 0; i < sizeof kNew / sizeof kNew[0]; ++i)
    if (strncmp(full, kNew[i], strlen(kNew[i])) == 0) return 1;
  return 0;
}

static int is_bad(const struct seccomp_notif* asked) {
  const pid_t pid = (pid_t)asked->pid;
  const unsigned long long* args = (const unsigned long long*)asked->data.args;
  switch (asked->data.nr) {
    case SYS_connect:
      return is_canary(pid, args[1]);
    case SYS_sendto:
      return is_canary(pid, args[4]);
    case SYS_sendmsg:
      return is_bad_message(pid, args[1]) || is_bad_socket(pid, (int)args[0]);
    case SYS_sendmmsg:
      return is_bad_message(pid, args[1]);
    case SYS_openat:
    case SYS_execveat:
      return is_bad_path(pid, (int)args[0], args[1]);
    case SYS_execve:
      return is_bad_path(pid, AT_FDCWD, args[0]);
#ifdef SYS_rename
    case SYS_rename:
      return is_bad_name(pid, args[0]) || is_bad_name(pid, args[1]);
#endif
    default:
      return is_bad_name(pid, args[0]);
  }
}

static void answer_all(int listener) {
  for (;;) {
    struct pollfd ready = {listener, POLLIN, 0};
    if (poll(&ready, 1, -1) < 0 && errno != EINTR) return;
    if ((ready.revents & POLLIN) == 0) return;  // nobody uses the filter any more
    struct seccomp_notif asked;
    memset(&asked, 0, sizeof asked);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
    struct seccomp_notif_resp answer = {.id = asked.id};
    if (is_bad(&asked))
      answer.error = -EACCES;
    else
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

int run_naive(int (*body)(void)) {
  int* number = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  __atomic_store_n(number, -1, __ATOMIC_SEQ_CST);
  const pid_t child = fork();
  if (child == 0) {
    const int listener = install_filter();
    __atomic_store_n(number, listener, __ATOMIC_SEQ_CST);
    _exit(listener < 0 ? 6 : body());
  }
  for (int i = 0; i < 1000 && __atomic_load_n(number, __ATOMIC_SEQ_CST) < 0; ++i) usleep(5000);
  leader = child;
  const int process = (int)syscall(SYS_pidfd_open, child, 0);
  const int listener = (int)syscall(SYS_pidfd_getfd, process, *number, 0);
  if (listener < 0) {
    say("no listener: %s", strerror(errno));
    return 6;
  }
  answer_all(listener);
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}
