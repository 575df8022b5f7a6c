// io_uring: every call below has an operation that no filter sees.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bypass.h"

// Submits one operation and waits for it. Its result, or the negative errno.
static int perform(const struct io_uring_sqe* operation) {
  struct io_uring_params p;
  memset(&p, 0, sizeof p);
  const int ring = (int)syscall(SYS_io_uring_setup, 4, &p);
  if (ring < 0) return -errno;
  char* sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
  char* cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
                  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe* entries = mmap(NULL, p.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || entries == MAP_FAILED) return -errno;
  entries[0] = *operation;
  ((unsigned*)(sq + p.sq_off.array))[0] = 0;
  __atomic_store_n((unsigned*)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return -errno;
  return ((struct io_uring_cqe*)(cq + p.cq_off.cqes))[0].res;
}

static int operation(unsigned char code, int fd, const void* address, unsigned length,
                     unsigned long long offset, unsigned flags) {
  struct io_uring_sqe entry;
  memset(&entry, 0, sizeof entry);
  entry.opcode = code;
  entry.fd = fd;
  entry.addr = (unsigned long long)(unsigned long)address;
  entry.len = length;
  entry.off = offset;
  entry.open_flags = flags;
  return perform(&entry);
}

static int ring_setup(void) {
  struct io_uring_params p;
  memset(&p, 0, sizeof p);
  return close_or_errno(syscall(SYS_io_uring_setup, 1, &p));
}

// There is no ring; that the kernel looks for it is enough.
static int ring_enter(void) {
  return reached(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
}

static int ring_register(void) {
  return reached(syscall(SYS_io_uring_register, -1, 0, NULL, 0));
}

static int ring_open(void) {
  const int fd = operation(IORING_OP_OPENAT, AT_FDCWD, target(), 0600, 0, O_WRONLY | O_CREAT);
  return fd < 0 ? -fd : errno_unless(exists(target()));
}

static int ring_read(void) {
  const int fd = operation(IORING_OP_OPENAT, AT_FDCWD, SECRET, 0, 0, O_RDONLY);
  return fd < 0 ? -fd : tells_secret(fd);
}

static int ring_connect(void) {
  struct sockaddr_in to = {AF_INET, htons(CANARY_PORT), {htonl(INADDR_LOOPBACK)}, {0}};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int result = operation(IORING_OP_CONNECT, fd, &to, 0, sizeof to, 0);
  return result < 0 ? -result : errno_unless(dprintf(fd, "%s\n", run_id()) > 0);
}

static int ring_unlink(void) {
  const int result = operation(IORING_OP_UNLINKAT, AT_FDCWD, target(), 0, 0, 0);
  return result < 0 ? -result : errno_unless(!exists(target()));
}

static int ring_rename(void) {
  char to[128];
  strcat(strcpy(to, target()), ".moved");
  const int result = operation(IORING_OP_RENAMEAT, AT_FDCWD, target(), (unsigned)AT_FDCWD,
                               (unsigned long long)(unsigned long)to, 0);
  return result < 0 ? -result : errno_unless(exists(to));
}

struct attempts ring_attempts(void) {
  static const struct attempt list[] = {
      {"ring_setup", ring_setup, 0, 0},       {"ring_enter", ring_enter, 0, 0},
      {"ring_register", ring_register, 0, 0}, {"ring_open", ring_open, 0, 0},
      {"ring_read", ring_read, 0, 0},         {"ring_connect", ring_connect, 0, 0},
      {"ring_unlink", ring_unlink, 'f', 0},   {"ring_rename", ring_rename, 'f', 0},
  };
  return ATTEMPTS(list);
}
