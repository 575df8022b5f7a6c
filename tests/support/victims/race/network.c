// Addresses, messages and sockets that change while something is sent. What is heard is counted by
// canaries of this process: a socket for datagrams, and one that listens, both from init.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "race.h"

static int canary_datagram = -1, canary_stream = -1, udp = -1, connected = -1;
static struct sockaddr_in address, good, bad_one;
static struct sockaddr_in6 mapped;
static struct iovec part = {"byte\n", 5};
static struct msghdr message;
static struct mmsghdr messages[2];

static struct sockaddr_in at_port(int port) {
  struct sockaddr_in at = {AF_INET, htons((in_port_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
  return at;
}

static int made(int type) {
  return socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void open_canaries(void) {
  good = address = at_port(DECOY_PORT);
  bad_one = at_port(CANARY_PORT);
  const int on = 1;
  canary_datagram = made(SOCK_DGRAM);
  canary_stream = made(SOCK_STREAM);
  setsockopt(canary_stream, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int err = bind(canary_datagram, (struct sockaddr*)&bad_one, sizeof bad_one) |
                  bind(canary_stream, (struct sockaddr*)&bad_one, sizeof bad_one) |
                  listen(canary_stream, 128);
  if (err != 0) {
    say("no canary: %s", strerror(errno));
    exit(4);
  }
  udp = made(SOCK_DGRAM);
  connected = made(SOCK_DGRAM);
  (void)!connect(connected, (struct sockaddr*)&bad_one, sizeof bad_one);
}

int heard(void) {
  char text[64];
  int count = 0;
  while (recv(canary_datagram, text, sizeof text, MSG_DONTWAIT) >= 0) ++count;
  for (int client; (client = accept4(canary_stream, NULL, NULL, SOCK_CLOEXEC)) >= 0; ++count)
    close(client);
  return count;
}

static void flip_address(int bad) {
  __atomic_store_n(&address.sin_port, bad ? bad_one.sin_port : good.sin_port, __ATOMIC_RELAXED);
  __atomic_store_n(&mapped.sin6_port, bad ? bad_one.sin_port : good.sin_port, __ATOMIC_RELAXED);
}

// Reset instead of closed: a hundred thousand connections in TIME_WAIT would use up the ports.
static int connects(int fd, const void* to, socklen_t size) {
  const struct linger reset = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  decoy(connect(fd, to, size) == 0 || errno == EINPROGRESS || errno == ECONNREFUSED);
  const int count = heard();
  close(fd);
  return count;
}

static int connect_tcp(void) {
  return connects(made(SOCK_STREAM), &address, sizeof address);
}

static void prepare_mapped(void) {
  mapped.sin6_family = AF_INET6;
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
}
static int connect_mapped(void) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return connects(fd, &mapped, sizeof mapped);
}

static int send_to(void) {
  decoy(sendto(udp, "byte\n", 5, 0, (struct sockaddr*)&address, sizeof address) > 0);
  return heard();
}

static int fast_open(void) {
  const int fd = made(SOCK_STREAM);
  const struct linger reset = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const struct sockaddr* const to = (struct sockaddr*)&address;
  decoy(sendto(fd, "byte\n", 5, MSG_FASTOPEN, to, sizeof address) >= 0 || errno == EINPROGRESS ||
        errno == ECONNREFUSED);
  const int count = heard();
  close(fd);
  return count;
}

// Not the address changes, but where it is said to be.
static void prepare_message(void) {
  message = (struct msghdr){
      .msg_name = &good, .msg_namelen = sizeof good, .msg_iov = &part, .msg_iovlen = 1};
  messages[0].msg_hdr = messages[1].msg_hdr = message;
}
static void flip_message(int bad) {
  void* const to = bad ? &bad_one : &good;
  __atomic_store_n(&message.msg_name, to, __ATOMIC_RELAXED);
  __atomic_store_n(&messages[0].msg_hdr.msg_name, to, __ATOMIC_RELAXED);
  __atomic_store_n(&messages[1].msg_hdr.msg_name, to, __ATOMIC_RELAXED);
}
static int send_message(void) {
  decoy(sendmsg(udp, &message, 0) > 0);
  return heard();
}
static int send_many(void) {
  decoy(sendmmsg(udp, messages, 2, 0) > 0);
  return heard();
}

// The parts too: what is counted as sent, and to whom, is read more than once.
static struct iovec parts[2] = {{"byte\n", 5}, {"byte\n", 5}};
static void flip_parts(int bad) {
  flip_message(bad);
  __atomic_store_n(&message.msg_iov, bad ? parts : &part, __ATOMIC_RELAXED);
  __atomic_store_n(&message.msg_iovlen, bad ? 2U : 1U, __ATOMIC_RELAXED);
}

// The socket becomes another: one that is connected to the canary since init.
static int shifting = -1;
static void prepare_shifting(void) {
  (void)!connect(udp, (struct sockaddr*)&good, sizeof good);
  shifting = dup(udp);
  prepare_message();
  message.msg_name = NULL;
  message.msg_namelen = 0;
}
static void flip_socket(int bad) {
  dup2(bad ? connected : udp, shifting);
}
static int send_shifting(void) {
  decoy(sendmsg(shifting, &message, 0) > 0);
  return heard();
}

struct races network_races(void) {
  static const struct race list[] = {
      {"connect_tcp", NULL, flip_address, connect_tcp, 0},
      {"connect_mapped", prepare_mapped, flip_address, connect_mapped, 0},
      {"fast_open", NULL, flip_address, fast_open, 0},
      {"send_to", NULL, flip_address, send_to, 0},
      {"send_message", prepare_message, flip_message, send_message, 0},
      {"send_parts", prepare_message, flip_parts, send_message, 0},
      {"send_many", prepare_message, flip_message, send_many, 0},
      {"send_shifting", prepare_shifting, flip_socket, send_shifting, 0},
  };
  return RACES(list);
}
