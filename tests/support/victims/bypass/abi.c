// Other tables of system calls, numbers that none has, and what stands above bit 31.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

#define HIGH(value) ((long)(0xdead0001ULL << 32 | (uint32_t)(value)))

#ifdef __x86_64__
static long int80(long number, long a, long b, long c) {
  long result = number;
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(a), "c"(b), "d"(c)
               : "memory", "r8", "r9", "r10", "r11");
  return result;
}

// i386 has 32-bit pointers.
static char* low_memory(const char* text) {
  char* low =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) _exit(ENOMEM);
  return strcpy(low, text);
}

static int i386_getpid(void) {
  const long pid = int80(20, 0, 0, 0);
  return pid > 0 ? 0 : (int)-pid;
}

static int i386_open(void) {
  const long fd = int80(5, (long)low_memory(target()), O_WRONLY | O_CREAT, 0600);
  return fd < 0 ? (int)-fd : errno_unless(exists(target()));
}

// socketcall: which call it is, and its arguments, are in memory.
static int i386_socketcall(void) {
  uint32_t* arguments = (uint32_t*)(void*)low_memory("");
  arguments[0] = AF_PACKET, arguments[1] = SOCK_RAW, arguments[2] = 0;
  const long fd = int80(102, 1, (long)arguments, 0);
  return fd < 0 ? (int)-fd : 0;
}

static int i386_execve(void) {
  const char* words[] = {low_memory("/bin/model_server"), low_memory("payload"),
                         low_memory(run_id())};
  uint32_t* arguments = (uint32_t*)(void*)low_memory("");
  for (int i = 0; i < 3; ++i) arguments[i] = (uint32_t)(uintptr_t)words[i];
  return (int)-int80(11, (long)words[0], (long)arguments, (long)(arguments + 3));
}

static int x32_getpid(void) {
  return errno_unless(syscall(0x40000000 + SYS_getpid) > 0);
}

static int x32_open(void) {
  const long fd = syscall(0x40000000 + SYS_open, target(), O_WRONLY | O_CREAT, 0600);
  return errno_unless(fd >= 0 && exists(target()));
}
#else
static int i386_getpid(void) {
  return ABSENT;
}
#define i386_open i386_getpid
#define i386_socketcall i386_getpid
#define i386_execve i386_getpid
#define x32_getpid i386_getpid
#define x32_open i386_getpid
#endif

// No kernel has these yet: whatever comes back, nothing may be done.
static int beyond(void) {
  static const long kNumbers[] = {600, 1023, 4096, 0x3fffffff};
  for (size_t i = 0; i < sizeof kNumbers / sizeof kNumbers[0]; ++i)
    if (syscall(kNumbers[i], target(), O_WRONLY | O_CREAT, 0600) >= 0) return 0;
  return errno;
}

static int high_open(void) {
  const long fd = syscall(SYS_openat, HIGH(AT_FDCWD), target(), HIGH(O_WRONLY | O_CREAT), 0600);
  return errno_unless(fd >= 0 && exists(target()));
}

static int high_packet(void) {
  return close_or_errno(syscall(SYS_socket, HIGH(AF_PACKET), HIGH(SOCK_RAW), HIGH(0)));
}

static int high_raw(void) {
  return close_or_errno(syscall(SYS_socket, HIGH(AF_INET), HIGH(SOCK_RAW), HIGH(IPPROTO_ICMP)));
}

static int high_connect(void) {
  struct sockaddr_in to = {AF_INET, htons(CANARY_PORT), {htonl(INADDR_LOOPBACK)}, {0}};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || syscall(SYS_connect, HIGH(fd), &to, HIGH(sizeof to)) != 0) return errno;
  return errno_unless(dprintf(fd, "%s\n", run_id()) > 0);
}

static int high_fastopen(void) {
  struct sockaddr_in to = {AF_INET, htons(CANARY_PORT), {htonl(INADDR_LOOPBACK)}, {0}};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const long sent = syscall(SYS_sendto, HIGH(fd), run_id(), strlen(run_id()), HIGH(MSG_FASTOPEN),
                            &to, HIGH(sizeof to));
  return errno_unless(sent > 0);
}

static int high_execveat(void) {
  char* const none[] = {NULL};
  syscall(SYS_execveat, HIGH(held.program), "", payload_arguments(), none, HIGH(AT_EMPTY_PATH));
  return errno;
}

static int high_memfd(void) {
  return close_or_errno(syscall(SYS_memfd_create, "high", HIGH(0)));
}

static int high_kill(void) {
  const int before = signals_taken();
  if (syscall(SYS_kill, HIGH(held.stranger), HIGH(SIGUSR1)) != 0) return errno;
  usleep(50000);
  return errno_unless(signals_taken() > before);
}

static int high_mqueue(void) {
  const long made = syscall(SYS_mq_open, run_id(), HIGH(O_RDWR | O_CREAT), 0600, NULL);
  return errno_unless(made >= 0 && syscall(SYS_mq_unlink, run_id()) == 0);
}

static int high_clone(void) {
  const long child = syscall(SYS_clone, HIGH(CLONE_NEWNS | SIGCHLD), 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return errno_unless(child > 0);
}

struct attempts abi_attempts(void) {
  static const struct attempt list[] = {
      {"i386_getpid", i386_getpid, 0, 0},
      {"i386_open", i386_open, 0, 0},
      {"i386_socketcall", i386_socketcall, 0, 0},
      {"i386_execve", i386_execve, 0, 0},
      {"x32_getpid", x32_getpid, 0, 0},
      {"x32_open", x32_open, 0, 0},
      {"beyond", beyond, 0, 0},
      {"high_open", high_open, 0, 0},
      {"high_packet", high_packet, 0, 0},
      {"high_raw", high_raw, 0, 0},
      {"high_connect", high_connect, 0, 0},
      {"high_fastopen", high_fastopen, 0, 0},
      {"high_execveat", high_execveat, 0, 0},
      {"high_memfd", high_memfd, 0, 0},
      {"high_kill", high_kill, 0, 0},
      {"high_mqueue", high_mqueue, 0, 0},
      {"high_clone", high_clone, 0, 0},
  };
  return ATTEMPTS(list);
}
