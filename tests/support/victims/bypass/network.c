// Getting a byte to the canary, by every call that names an address, and by sockets that need none.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bypass.h"

static struct sockaddr_in four = {AF_INET, 0, {0}, {0}};
static struct sockaddr_in6 mapped;
static struct sockaddr* canary(void) {
  four.sin_port = htons(CANARY_PORT);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return (struct sockaddr*)&four;
}
static struct sockaddr* canary_mapped(void) {
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(CANARY_PORT);
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
  return (struct sockaddr*)&mapped;
}

static int made(int domain, int type) {
  return socket(domain, type | SOCK_CLOEXEC, 0);
}

static int held_tcp(int use) {
  return held.tcp[2 * use + in_phase("serve")];
}

static int writes(int fd) {
  return errno_unless(dprintf(fd, "%s\n", run_id()) > 0);
}

static int connects(int fd, const struct sockaddr* to, socklen_t size) {
  if (fd < 0 || connect(fd, to, size) != 0) return errno;
  return writes(fd);
}

static int sends(int fd, const struct sockaddr* to, socklen_t size, int flags) {
  char text[80];
  const int length = snprintf(text, sizeof text, "%s\n", run_id());
  return errno_unless(fd >= 0 && sendto(fd, text, (size_t)length, flags, to, size) > 0);
}

static int sends_message(int fd, void* to, socklen_t size, int flags) {
  char text[80];
  struct iovec part = {text, (size_t)snprintf(text, sizeof text, "%s\n", run_id())};
  const struct msghdr message = {
      .msg_name = to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1};
  return errno_unless(fd >= 0 && sendmsg(fd, &message, flags) > 0);
}

static int sends_many(int fd, void* to, socklen_t size, int flags) {
  char text[80];
  struct iovec part = {text, (size_t)snprintf(text, sizeof text, "%s\n", run_id())};
  struct mmsghdr messages[2];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 2; ++i)
    messages[i].msg_hdr =
        (struct msghdr){.msg_name = to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1};
  return errno_unless(fd >= 0 && sendmmsg(fd, messages, 2, flags) > 0);
}

#define DOES(name, ...)   \
  static int name(void) { \
    return __VA_ARGS__;   \
  }
DOES(tcp, connects(made(AF_INET, SOCK_STREAM), canary(), sizeof four))
DOES(tcp_held, connects(held_tcp(0), canary(), sizeof four))
DOES(tcp_mapped, connects(made(AF_INET6, SOCK_STREAM), canary_mapped(), sizeof mapped))
DOES(tcp_fast, sends(made(AF_INET, SOCK_STREAM), canary(), sizeof four, MSG_FASTOPEN))
DOES(tcp_fast_msg, sends_message(made(AF_INET, SOCK_STREAM), canary(), sizeof four, MSG_FASTOPEN))
DOES(tcp_fast_many, sends_many(made(AF_INET, SOCK_STREAM), canary(), sizeof four, MSG_FASTOPEN))
DOES(tcp_fast_held, sends_message(held_tcp(1), canary(), sizeof four, MSG_FASTOPEN))
DOES(udp, sends(made(AF_INET, SOCK_DGRAM), canary(), sizeof four, 0))
DOES(udp_connect, connects(made(AF_INET, SOCK_DGRAM), canary(), sizeof four))
DOES(udp_msg, sends_message(made(AF_INET, SOCK_DGRAM), canary(), sizeof four, 0))
DOES(udp_mapped, sends_message(made(AF_INET6, SOCK_DGRAM), canary_mapped(), sizeof mapped, 0))
DOES(udp_held, sends(held.udp, canary(), sizeof four, 0))
DOES(udp_held_msg, sends_message(held.udp, canary(), sizeof four, 0))
DOES(udp_held_many, sends_many(held.udp, canary(), sizeof four, 0))
DOES(udp_before, writes(held.udp_connected))

// TCP by another name, over several paths.
static int tcp_multi(void) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
  return connects(fd, canary(), sizeof four);
}

// Connected to one, then sent to another.
static int udp_retarget(void) {
  const int fd = made(AF_INET, SOCK_DGRAM);
  struct sockaddr_in nobody = four;
  canary();
  nobody.sin_family = AF_INET;
  nobody.sin_port = htons(1);
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr*)&nobody, sizeof nobody) != 0) return errno;
  return sends_message(fd, canary(), sizeof four, 0);
}

// The kernel takes these two for AF_INET, for old programs' sake.
static int udp_no_family(void) {
  canary();
  four.sin_family = AF_UNSPEC;
  return sends_message(held.udp, &four, sizeof four, 0);
}

static int six_to_four(void) {
  return sends_message(made(AF_INET6, SOCK_DGRAM), canary(), sizeof four, 0);
}

// A connection dissolved, to be made anew to another.
static int dissolve(void) {
  const struct sockaddr none = {AF_UNSPEC, {0}};
  if (connect(held.udp_connected, &none, sizeof none) != 0) return errno;
  return connects(held.udp_connected, canary(), sizeof four);
}

static socklen_t abstract(struct sockaddr_un* to, const char* name) {
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  strcpy(to->sun_path + 1, name);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int unix_stream(void) {
  struct sockaddr_un to;
  const socklen_t size = abstract(&to, CANARY_NAME);
  return connects(made(AF_UNIX, SOCK_STREAM), (struct sockaddr*)&to, size);
}

static int unix_path(void) {
  const struct sockaddr_un to = {AF_UNIX, LISTENER};
  return connects(made(AF_UNIX, SOCK_STREAM), (const struct sockaddr*)&to, sizeof to);
}

static int unix_datagram(void) {
  struct sockaddr_un to;
  const socklen_t size = abstract(&to, CANARY_NAME "-d");
  return sends(made(AF_UNIX, SOCK_DGRAM), (struct sockaddr*)&to, size, 0);
}

static int unix_held(void) {
  struct sockaddr_un to;
  const socklen_t size = abstract(&to, CANARY_NAME "-d");
  return sends_message(held.unix_datagram, &to, size, 0);
}

// A pair needs no socket(), and one of its ends may name another receiver.
static int unix_pair(void) {
  struct sockaddr_un to;
  int both[2];
  const socklen_t size = abstract(&to, CANARY_NAME "-d");
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, both) != 0) return errno;
  return sends_message(both[0], &to, size, 0);
}

static int unix_pair_many(void) {
  struct sockaddr_un to;
  int both[2];
  const socklen_t size = abstract(&to, CANARY_NAME "-d");
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, both) != 0) return errno;
  return sends_many(both[0], &to, size, 0);
}

static int passed(int fd) {
  int both[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, both) != 0) return -1;
  char byte = 'x', control[CMSG_SPACE(sizeof fd)];
  struct iovec part = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  memset(control, 0, sizeof control);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(both[0], &message, 0) < 0 || recvmsg(both[1], &message, 0) < 0) return -1;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

DOES(passed_udp, writes(passed(held.udp_connected)))
DOES(passed_tcp, writes(passed(held.tcp_connected)))
DOES(tcp_before, writes(held.tcp_connected))

// No bind(): the kernel finds a port by itself, which no hook sees.
static int listen_only(void) {
  const int fd = made(AF_INET, SOCK_STREAM);
  return errno_unless(fd >= 0 && listen(fd, 1) == 0);
}

static int listen_held(void) {
  return errno_unless(listen(held_tcp(2), 1) == 0);
}

struct attempts network_attempts(void) {
  static const struct attempt list[] = {
      {"tcp", tcp, 0, 0},
      {"tcp_held", tcp_held, 0, 0},
      {"tcp_mapped", tcp_mapped, 0, 0},
      {"tcp_fast", tcp_fast, 0, 0},
      {"tcp_fast_msg", tcp_fast_msg, 0, 0},
      {"tcp_fast_many", tcp_fast_many, 0, 0},
      {"tcp_fast_held", tcp_fast_held, 0, 0},
      {"udp", udp, 0, 0},
      {"udp_connect", udp_connect, 0, 0},
      {"udp_msg", udp_msg, 0, 0},
      {"udp_mapped", udp_mapped, 0, 0},
      {"udp_held", udp_held, 0, 0},
      {"udp_held_msg", udp_held_msg, 0, 0},
      {"udp_held_many", udp_held_many, 0, 0},
      {"udp_before", udp_before, 0, 0},
      {"udp_retarget", udp_retarget, 0, 0},
      {"udp_no_family", udp_no_family, 0, 0},
      {"six_to_four", six_to_four, 0, 0},
      {"dissolve", dissolve, 0, 0},
      {"unix_stream", unix_stream, 0, 0},
      {"unix_path", unix_path, 0, 0},
      {"tcp_multi", tcp_multi, 0, 0},
      {"unix_datagram", unix_datagram, 0, 0},
      {"unix_held", unix_held, 0, 0},
      {"unix_pair", unix_pair, 0, 0},
      {"unix_pair_many", unix_pair_many, 0, 0},
      {"passed_udp", passed_udp, 0, 0},
      {"passed_tcp", passed_tcp, 0, 0},
      {"tcp_before", tcp_before, 0, 0},
      {"listen_only", listen_only, 0, 's'},
      {"listen_held", listen_held, 0, 's'},
  };
  return ATTEMPTS(list);
}
