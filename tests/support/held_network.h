// A cgroup of its own with a container's network programs at it, for tests: what a process in it
// can reach.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <functional>
#include <memory>

#include "oci/sys.h"
#include "shim/supervise/kernel_names.h"
#include "shim/supervise/network_hooks.h"
#include "shim/supervise/record_ring.h"
#include "tests/support/policies.h"

namespace moat::shim::test_network {

using policies::Mode;
using policies::Phase;

inline std::string unified_root() {
  struct stat status {};
  return ::stat("/sys/fs/cgroup/cgroup.controllers", &status) == 0 ? "/sys/fs/cgroup"
                                                                   : "/sys/fs/cgroup/unified";
}

// A cgroup that is removed with everything at it.
class Group {
 public:
  Group() : path_(unified_root() + "/moat-live-" + std::to_string(::getpid())) {
    if (::mkdir(path_.c_str(), 0755) != 0) path_.clear();
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    ::rmdir((path_ + "/moat-session").c_str());
    ::rmdir(path_.c_str());
  }
  void clean() const {  // of every program
    ::rmdir(path_.c_str());
    ::mkdir(path_.c_str(), 0755);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  void join() const {
    const auto procs = oci::open_file(path_ + "/cgroup.procs", O_WRONLY);
    if (!procs || !oci::write_all(procs->raw(), "0")) ::_exit(99);
  }

 private:
  std::string path_;
};

inline sockaddr_in local(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline sockaddr_in6 mapped(std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
  return address;
}

template <class T>
const sockaddr* generic(const T& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Somebody to reach, outside of the group.
class Canary {
 public:
  explicit Canary(int type) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address = local(0);
    socklen_t length = sizeof address;
    ::bind(fd_.raw(), generic(address), length);
    if (type == SOCK_STREAM) ::listen(fd_.raw(), 512);
    ::getsockname(fd_.raw(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // What has arrived within a moment: connections, or datagrams.
  [[nodiscard]] int heard() const {
    int count = 0;
    for (pollfd ready{fd_.raw(), POLLIN, 0}; ::poll(&ready, 1, 100) > 0; ++count) {
      char byte = 0;
      const UniqueFd client(::accept(fd_.raw(), nullptr, nullptr));
      if (!client.valid() && ::recv(fd_.raw(), &byte, 1, 0) < 0) break;
    }
    return count;
  }

 private:
  UniqueFd fd_;
  std::uint16_t port_ = 0;
};

inline int error_unless(bool ok) {
  return ok ? 0 : errno;
}

inline int connect_to(int fd, std::uint16_t port) {
  const sockaddr_in to = local(port);
  return error_unless(::connect(fd, generic(to), sizeof to) == 0);
}

inline int send_to(int fd, std::uint16_t port, int flags = 0) {
  const sockaddr_in to = local(port);
  return error_unless(::sendto(fd, "x", 1, flags | MSG_NOSIGNAL, generic(to), sizeof to) == 1);
}

inline int tcp(std::uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd.valid() ? connect_to(fd.raw(), port) : errno;
}

class Network : public ::testing::Test {
 protected:
  // Everything in init; in load what `allowed` lists; in serve only who comes.
  void hold(const std::string& allowed, Mode mode = Mode::Enforce) {
    const auto policy = test::policy_from(
        "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
        "  phases:\n    init: {network: {access: ['*']}}\n    load: {network: {access: [" +
        allowed + "]}}\n    serve: {network: {access: ['@listen']}}\n");
    const auto names = kernel_names();
    auto programs =
        policies::network_programs(policy, mode, names ? std::optional(*names) : std::nullopt);
    ASSERT_TRUE(programs) << programs.error().what;
    auto hooks = NetworkHooks::attach(group_.path(), *programs);
    ASSERT_TRUE(hooks) << hooks.error().what;
    hooks_ = std::move(*hooks);
  }

  // What `body` returns, run by a process of the group.
  int inside(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      group_.join();
      ::alarm(60);
      ::_exit(body());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::vector<policies::NetworkRecord> records() {
    std::vector<policies::NetworkRecord> all;
    auto ring = RecordRing::of(UniqueFd(::dup(hooks_->ring())));
    EXPECT_TRUE(ring);
    if (ring) ring->drain(1000, [&](const auto& record) { all.push_back(record); });
    return all;
  }

  std::string only(std::uint16_t port) { return "'127.0.0.1:" + std::to_string(port) + "'"; }
  void enter(Phase phase) { hooks_->enter(phase); }

  Group group_;
  Canary stream_{SOCK_STREAM}, other_{SOCK_STREAM}, datagram_{SOCK_DGRAM},
      other_datagram_{SOCK_DGRAM};
  std::unique_ptr<NetworkHooks> hooks_;
};

}  // namespace moat::shim::test_network
