// Reaching out: each way data or a connection can leave, each kind of socket that could carry it.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "attempts.h"

namespace moat::victim {

namespace {

sockaddr_in canary() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kCanaryPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

template <class T>
const sockaddr* generic(const T& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

class Socket {
 public:
  Socket(int domain, int type, int protocol = 0)
      : fd_(::socket(domain, type | SOCK_CLOEXEC, protocol)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

int send_id(int fd, const Run& run) {
  const std::string text = run.id() + "\n";
  return errno_unless(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0);
}

int connect_and_send(int fd, const sockaddr* address, socklen_t length, const Run& run) {
  if (fd < 0 || ::connect(fd, address, length) != 0) return errno;
  return send_id(fd, run);
}

int tcp(const Run& run) {
  const Socket socket(AF_INET, SOCK_STREAM);
  const sockaddr_in address = canary();
  return connect_and_send(socket.fd(), generic(address), sizeof address, run);
}

int tcp_mapped(const Run& run) {
  const Socket socket(AF_INET6, SOCK_STREAM);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(kCanaryPort);
  ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
  return connect_and_send(socket.fd(), generic(address), sizeof address, run);
}

// A copy, since the socket itself can be connected only once.
int tcp_held(const Run& run) {
  return in_child([&] {
    const sockaddr_in address = canary();
    const sockaddr_in none{AF_UNSPEC, 0, {}, {}};
    const int err = connect_and_send(held().tcp, generic(address), sizeof address, run);
    if (err == 0) ::connect(held().tcp, generic(none), sizeof none);
    return err;
  });
}

int send_to(int fd, const Run& run, int flags) {
  const sockaddr_in address = canary();
  const std::string text = run.id() + "\n";
  return errno_unless(::sendto(fd, text.data(), text.size(), flags | MSG_NOSIGNAL, generic(address),
                               sizeof address) > 0);
}

int udp(const Run& run) {
  const Socket socket(AF_INET, SOCK_DGRAM);
  return socket.fd() < 0 ? errno : send_to(socket.fd(), run, 0);
}

int udp_held(const Run& run) {
  return send_to(held().udp, run, 0);
}

int udp_connect(const Run& run) {
  return in_child([&] {
    const sockaddr_in address = canary();
    return connect_and_send(held().udp, generic(address), sizeof address, run);
  });
}

int fastopen(const Run& run) {
  const Socket socket(AF_INET, SOCK_STREAM);
  return socket.fd() < 0 ? errno : send_to(socket.fd(), run, MSG_FASTOPEN);
}

// The receiver is named in memory only: no register says that there is one.
int send_message(int fd, const Run& run, sockaddr* address, socklen_t length, int flags) {
  if (fd < 0) return errno;
  std::string text = run.id() + "\n";
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_name = address;
  message.msg_namelen = length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return errno_unless(::sendmsg(fd, &message, flags | MSG_NOSIGNAL) > 0);
}

int fastopen_msg(const Run& run) {
  const Socket socket(AF_INET, SOCK_STREAM);
  sockaddr_in address = canary();
  return send_message(socket.fd(), run, reinterpret_cast<sockaddr*>(&address), sizeof address,
                      MSG_FASTOPEN);
}

socklen_t abstract(const std::string& name, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", name.c_str());
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

int unix_abstract(const Run& run) {
  const Socket socket(AF_UNIX, SOCK_STREAM);
  sockaddr_un address;
  const socklen_t length = abstract(kCanaryName, address);
  return connect_and_send(socket.fd(), generic(address), length, run);
}

int unix_datagram(const Run& run) {
  const Socket socket(AF_UNIX, SOCK_DGRAM);
  sockaddr_un address;
  const socklen_t length = abstract(std::string(kCanaryName) + "-d", address);
  const std::string text = run.id() + "\n";
  return errno_unless(::sendto(socket.fd(), text.data(), text.size(), 0, generic(address), length) >
                      0);
}

// No register says that there is a receiver, and nobody made a socket.
int udp_held_msg(const Run& run) {
  sockaddr_in address = canary();
  return send_message(held().udp, run, reinterpret_cast<sockaddr*>(&address), sizeof address, 0);
}

// A sibling changes the receiver from one that may be allowed to the canary and back, all the time.
int udp_race(const Run& run) {
  constexpr int kTries = 5000;
  alignas(sockaddr_in) sockaddr_in address = canary();
  const in_port_t bad = address.sin_port, good = htons(kAllowedPort);
  std::atomic<bool> over{false};
  std::thread sibling([&] {
    while (!over.load(std::memory_order_relaxed)) {
      std::atomic_ref(address.sin_port).store(bad);
      std::atomic_ref(address.sin_port).store(good);
    }
  });
  const Socket socket(AF_INET, SOCK_DGRAM);
  const std::string text = run.id() + "\n";
  int sent = 0;
  for (int i = 0; i < kTries; ++i)
    if (::sendto(socket.fd(), text.data(), text.size(), 0, generic(address), sizeof address) > 0)
      ++sent;
  over = true;
  sibling.join();
  return errno_unless(sent > 0);
}

int unix_message(const Run& run) {
  const Socket socket(AF_UNIX, SOCK_DGRAM);
  sockaddr_un address;
  const socklen_t length = abstract(std::string(kCanaryName) + "-d", address);
  return send_message(socket.fd(), run, reinterpret_cast<sockaddr*>(&address), length, 0);
}

// A datagram socket by another name.
int unix_raw(const Run& run) {
  const Socket socket(AF_UNIX, SOCK_RAW);
  sockaddr_un address;
  const socklen_t length = abstract(std::string(kCanaryName) + "-d", address);
  return send_message(socket.fd(), run, reinterpret_cast<sockaddr*>(&address), length, 0);
}

// No end of a pair is bound to the other.
int unix_pair(const Run& run) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return errno;
  sockaddr_un address;
  const socklen_t length = abstract(std::string(kCanaryName) + "-d", address);
  const int err = send_message(ends[0], run, reinterpret_cast<sockaddr*>(&address), length, 0);
  for (const int end : ends) ::close(end);
  return err;
}

template <int kDomain, int kType, int kProtocol>
int only_socket(const Run&) {
  const Socket socket(kDomain, kType, kProtocol);
  return errno_unless(socket.fd() >= 0);
}

constexpr auto kNetwork = "network.access";
constexpr std::array kAttempts{
    Attempt{"tcp", kNetwork, "canary", Planted::Nothing, tcp},
    Attempt{"tcp_mapped", kNetwork, "canary", Planted::Nothing, tcp_mapped},
    Attempt{"tcp_held", kNetwork, "canary", Planted::Nothing, tcp_held},
    Attempt{"udp", kNetwork, "canary", Planted::Nothing, udp},
    Attempt{"udp_held", kNetwork, "canary", Planted::Nothing, udp_held},
    Attempt{"udp_held_msg", kNetwork, "canary", Planted::Nothing, udp_held_msg},
    Attempt{"udp_connect", kNetwork, "canary", Planted::Nothing, udp_connect},
    Attempt{"fastopen", kNetwork, "canary", Planted::Nothing, fastopen},
    Attempt{"fastopen_msg", kNetwork, "canary", Planted::Nothing, fastopen_msg},
    Attempt{"unix_abstract", kNetwork, "canary", Planted::Nothing, unix_abstract},
    Attempt{"unix_datagram", kNetwork, "canary", Planted::Nothing, unix_datagram},
    Attempt{"unix_message", kNetwork, "canary", Planted::Nothing, unix_message},
    Attempt{"raw_socket", "filter", "-", Planted::Nothing,
            only_socket<AF_INET, SOCK_RAW, IPPROTO_ICMP>},
    Attempt{"packet_socket", "filter", "-", Planted::Nothing,
            only_socket<AF_PACKET, SOCK_RAW, ETH_P_ALL << 8>},
    Attempt{"alg_socket", "filter", "-", Planted::Nothing, only_socket<AF_ALG, SOCK_SEQPACKET, 0>},
    Attempt{"old_packet", "filter", "-", Planted::Nothing,
            only_socket<AF_INET, SOCK_PACKET, ETH_P_ALL << 8>},
    Attempt{"unix_raw", kNetwork, "canary", Planted::Nothing, unix_raw},
    Attempt{"unix_pair", kNetwork, "canary", Planted::Nothing, unix_pair},
    Attempt{"netlink_route", kNetwork, "-", Planted::Nothing,
            only_socket<AF_NETLINK, SOCK_RAW, NETLINK_ROUTE>},
    Attempt{"netlink_diag", "filter", "-", Planted::Nothing,
            only_socket<AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG>},
    Attempt{"vsock_socket", "filter", "-", Planted::Nothing, only_socket<AF_VSOCK, SOCK_STREAM, 0>},
};

int kept = -1;

int tcp_kept(const Run& run) {
  return send_id(kept, run);
}

sockaddr_un at_path(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  return address;
}

int unix_log(const Run& run) {
  const Socket socket(AF_UNIX, SOCK_STREAM);
  const sockaddr_un address = at_path(kNodeSocket);
  return connect_and_send(socket.fd(), generic(address), sizeof address, run);
}

int unix_other(const Run& run) {
  const Socket socket(AF_UNIX, SOCK_STREAM);
  const sockaddr_un address = at_path(kOtherSocket);
  return connect_and_send(socket.fd(), generic(address), sizeof address, run);
}

// A sibling changes the name between the two while it is being connected to.
int unix_race(const Run& run) {
  sockaddr_un address = at_path(kNodeSocket);
  const sockaddr_un other = at_path(kOtherSocket), good = address;
  std::atomic<bool> over{false};
  std::thread sibling([&] {
    while (!over.load(std::memory_order_relaxed)) {
      std::memcpy(address.sun_path, other.sun_path, sizeof other.sun_path);
      std::memcpy(address.sun_path, good.sun_path, sizeof good.sun_path);
    }
  });
  int reached = 0;
  for (int i = 0; i < 2000; ++i) {
    const Socket socket(AF_UNIX, SOCK_STREAM);
    if (connect_and_send(socket.fd(), generic(address), sizeof address, run) == 0) ++reached;
  }
  over = true;
  sibling.join();
  return errno_unless(reached > 0);
}

constexpr std::array kSpecial{
    Attempt{"udp_race", kNetwork, "canary", Planted::Nothing, udp_race},
    Attempt{"tcp_kept", kNetwork, "canary", Planted::Nothing, tcp_kept},
    Attempt{"unix_log", kNetwork, "canary", Planted::Nothing, unix_log},
    Attempt{"unix_other", kNetwork, "canary", Planted::Nothing, unix_other},
    Attempt{"unix_race", kNetwork, "canary", Planted::Nothing, unix_race},
};

}  // namespace

int stay_connected() {
  const sockaddr_in address = canary();
  kept = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return errno_unless(::connect(kept, generic(address), sizeof address) == 0);
}

std::span<const Attempt> special_network_attempts() {
  return kSpecial;
}

std::span<const Attempt> network_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
