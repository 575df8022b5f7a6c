// Connections that a new boundary forbids, wherever their descriptors are: a process in a cgroup of
// its own makes them, then they are cut, then it tries to use them.
#include "shim/supervise/cut.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstring>
#include <functional>
#include <optional>
#include <thread>

#include "oci/sys.h"
#include "tests/support/policies.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

std::string unified_root() {
  struct stat status {};
  return ::stat("/sys/fs/cgroup/cgroup.controllers", &status) == 0 ? "/sys/fs/cgroup"
                                                                   : "/sys/fs/cgroup/unified";
}

void join(const std::string& group) {
  const auto procs = oci::open_file(group + "/cgroup.procs", O_WRONLY);
  if (!procs || !oci::write_all(procs->raw(), "0")) ::_exit(99);
}

template <class T>
sockaddr* generic(T& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

sockaddr_in local(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A socket that listens, and its port.
struct Service {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::uint16_t port = 0;
  explicit Service(int backlog = 64) {
    sockaddr_in address = local(0);
    socklen_t length = sizeof address;
    if (::bind(fd.raw(), generic(address), length) != 0 || ::listen(fd.raw(), backlog) != 0) return;
    ::getsockname(fd.raw(), generic(address), &length);
    port = ntohs(address.sin_port);
  }
};

UniqueFd connected(std::uint16_t port, int flags = 0) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  sockaddr_in to = local(port);
  (void)::connect(fd.raw(), generic(to), sizeof to);
  return fd;
}

UniqueFd connected6(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port);
  ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
  (void)::connect(fd.raw(), generic(to), sizeof to);
  return fd;
}

bool works(int fd) {
  return ::send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

// A descriptor into a message that nobody has received, and out of it.
void park(int channel, UniqueFd fd) {
  char byte = 'x';
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = fd.raw();
  std::memcpy(CMSG_DATA(head), &number, sizeof number);
  ::sendmsg(channel, &message, 0);
}

UniqueFd taken(int channel) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1) return {};
  int number = -1;
  if (cmsghdr* head = CMSG_FIRSTHDR(&message)) std::memcpy(&number, CMSG_DATA(head), sizeof number);
  return UniqueFd(number);
}

class Cutting : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkdir(group_.c_str(), 0755), 0); }
  void TearDown() override {
    for (const char* below : {"/moat-session", "/other", ""}) ::rmdir((group_ + below).c_str());
  }

  policies::NetworkRules rules(const std::string& allowed) {
    return test::policy_from(
               "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
               "  phases:\n    init: {}\n    load: {network: {access: [" +
               allowed + "]}}\n")
        .boundary(policies::Phase::Load)
        .network;
  }

  // `body` in a process of the group `below` it; it is given what ends when the cutting is done.
  int around(const std::string& allowed,
             const std::function<int(const std::function<void()>&)>& body,
             const std::string& below = "") {
    int ready[2], done[2];
    if (::pipe(ready) != 0 || ::pipe(done) != 0) return -1;
    const pid_t child = ::fork();
    if (child == 0) {
      if (!below.empty()) ::mkdir((group_ + below).c_str(), 0755);
      join(group_ + below);
      ::alarm(30);
      ::_exit(body([&] {
        char byte = 'x';
        if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) != 1) ::_exit(98);
      }));
    }
    char byte = 0;
    if (::read(ready[0], &byte, 1) == 1) {
      CutOrder order{rules(allowed), {}};
      if (once_) order.once.push_back(*once_);
      auto cut = cut_connections(cgroups_below(group_), order);
      EXPECT_TRUE(cut) << cut.error().what;
      cut_.clear();
      if (cut)
        for (const Cut& one : *cut) cut_.push_back(one.to);
    }
    (void)!::write(done[1], &byte, 1);
    for (const int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string to(const Service& service) { return "127.0.0.1:" + std::to_string(service.port); }

  std::string group_ = unified_root() + "/moat-cut-" + std::to_string(::getpid());
  std::vector<std::string> cut_;
  std::optional<policies::AddressRule> once_;
};

TEST_F(Cutting, WhatTheNewBoundaryDoesNotAllowIsNoMore) {
  const Service bad, good;
  EXPECT_EQ(around("'" + to(good) + "'",
                   [&](const auto& cutting) {
                     const UniqueFd stays = connected(good.port), goes = connected(bad.port),
                                    goes6 = connected6(bad.port);
                     if (!works(stays.raw()) || !works(goes.raw()) || !works(goes6.raw())) return 1;
                     cutting();
                     if (!works(stays.raw())) return 2;
                     if (works(goes.raw())) return 3;
                     return works(goes6.raw()) ? 4 : 0;
                   }),
            0);
  EXPECT_EQ(cut_, (std::vector<std::string>{to(bad), to(bad)}));
}

TEST_F(Cutting, ADescriptorInAMessageOnItsWayIsFound) {
  const Service bad;
  EXPECT_EQ(around("",
                   [&](const auto& cutting) {
                     int pair[2];
                     if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
                     park(pair[0], connected(bad.port));
                     cutting();
                     const UniqueFd back = taken(pair[1]);
                     if (!back.valid()) return 2;
                     return works(back.raw()) ? 3 : 0;
                   }),
            0);
  EXPECT_EQ(cut_.size(), 1U);
}

// Whose table is not the process's: what /proc/PID/fd shows is the first thread's.
TEST_F(Cutting, ADescriptorInAThreadsOwnTableIsFound) {
  const Service bad;
  EXPECT_EQ(around("",
                   [&](const auto& cutting) {
                     int result = 1;
                     std::thread([&] {
                       if (::unshare(CLONE_FILES) != 0) return;
                       const UniqueFd own = connected(bad.port);
                       if (!works(own.raw())) return;
                       cutting();
                       result = works(own.raw()) ? 3 : 0;
                     }).join();
                     return result;
                   }),
            0);
  EXPECT_EQ(cut_.size(), 1U);
}

// Its peer's queue is full, so that the handshake has no end.
TEST_F(Cutting, AConnectionThatIsStillBeingMadeIsFound) {
  const Service full(0);
  std::vector<UniqueFd> fill;
  for (int i = 0; i < 4; ++i) fill.push_back(connected(full.port, SOCK_NONBLOCK));
  EXPECT_EQ(around("",
                   [&](const auto& cutting) {
                     const UniqueFd begun = connected(full.port, SOCK_NONBLOCK);
                     pollfd ready{begun.raw(), POLLOUT, 0};
                     if (::poll(&ready, 1, 50) != 0) return 1;
                     cutting();
                     if (::poll(&ready, 1, 1000) != 1) return 2;
                     return works(begun.raw()) ? 3 : 0;
                   }),
            0);
  EXPECT_EQ(cut_.size(), 1U);
}

TEST_F(Cutting, WhoCameToTheServerStaysWhereItMayListen) {
  for (const bool listens : {true, false}) {
    int ports[2];
    ASSERT_EQ(::pipe(ports), 0);
    std::thread client([&] {
      std::uint16_t port = 0;
      if (::read(ports[0], &port, sizeof port) != 2) return;
      const UniqueFd fd = connected(port);
      char byte = 0;
      (void)!::recv(fd.raw(), &byte, 1, 0);
    });
    EXPECT_EQ(around(listens ? "'@listen'" : "",
                     [&](const auto& cutting) {
                       const Service own;
                       if (::write(ports[1], &own.port, 2) != 2) return 1;
                       const UniqueFd peer(::accept(own.fd.raw(), nullptr, nullptr));
                       if (!peer.valid()) return 2;
                       cutting();
                       return works(peer.raw()) == listens ? 0 : 3;
                     }),
              0);
    client.join();
    ::close(ports[0]);
    ::close(ports[1]);
  }
}

TEST_F(Cutting, OthersSocketsAreNotTouched) {
  const Service bad;
  const UniqueFd outside = connected(bad.port);
  const auto uses = [&](const auto& cutting) {
    const UniqueFd own = connected(bad.port);
    cutting();
    return works(own.raw()) ? 0 : 3;
  };
  EXPECT_EQ(around("", uses, "/moat-session"), 0) << "a session's";
  EXPECT_TRUE(works(outside.raw()));
  EXPECT_TRUE(cut_.empty());
  EXPECT_EQ(around("", uses, "/other"), 3) << "any other cgroup below is the container's";
}

// Made from the very port that others come to, so that it looks as if it were one of theirs.
TEST_F(Cutting, AConnectionFromTheServersOwnPortIsNoClients) {
  const Service bad;
  for (const bool named : {true, false}) {
    once_ = named ? policies::address_rule(to(bad)) : std::nullopt;
    EXPECT_EQ(around("'@listen'",
                     [&](const auto& cutting) {
                       const int on = 1;
                       const UniqueFd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                       const UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                       sockaddr_in own = local(0), far = local(bad.port);
                       socklen_t length = sizeof own;
                       for (const UniqueFd* fd : {&made, &server}) {
                         ::setsockopt(fd->raw(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
                         if (::bind(fd->raw(), generic(own), length) != 0) return 1;
                         ::getsockname(fd->raw(), generic(own), &length);
                       }
                       if (::connect(made.raw(), generic(far), sizeof far) != 0) return 2;
                       if (::listen(server.raw(), 1) != 0) return 3;
                       cutting();
                       return works(made.raw()) ? 4 : 0;
                     }),
              named ? 0 : 4)
        << "it is told by where it leads to alone";
  }
}

// The role, where the kernel answers no question about sockets.
int cut_without_list(pid_t pid, const std::string& group) {
  const std::string start = std::to_string(oci::start_time_of(pid)), number = std::to_string(pid);
  const pid_t child = ::fork();
  if (child == 0) {
    sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                             BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 1),
                             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOENT),
                             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog filter{4, program};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
      ::_exit(9);
    ::execl(MOAT_BIN "/containerd-shim-moat-v2", "shim", "cut", number.c_str(), start.c_str(),
            group.c_str(), nullptr);
    ::_exit(9);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_F(Cutting, WhereItCannotBeDoneAConnectionThatIsSeenKeepsThePhaseFromBeginning) {
  const Service bad;
  for (const bool connects : {true, false}) {
    const test::Victim victim([&] {
      join(group_);
      return connects && !works(UniqueFd(connected(bad.port)).release()) ? 1 : 0;
    });
    ASSERT_EQ(victim.result(), 0U);
    EXPECT_EQ(cut_without_list(victim.pid(), group_), connects ? 1 : 0);
  }
}

TEST_F(Cutting, ItsOwnWordsAreReadAsTheyAreMeant) {
  policies::NetworkRules any;
  any.any = true;
  any.addresses = {"192.0.2.1"};
  const std::vector<policies::NetworkRules> phases{
      any, rules("'@listen', '10.0.0.0/8:443', 'unix:/run/x', 'hub:80'"), rules("'[::1]'")};
  const auto words = cut_words(phases, 1);
  EXPECT_EQ(words, (std::vector<std::string>{"--listen", "10.0.0.0/8:443", "--once", "[::1]"}));
  const CutOrder order = cut_order(words);
  EXPECT_TRUE(order.rules.listen);
  EXPECT_EQ(order.rules.reachable, phases[1].reachable);
  EXPECT_EQ(order.once, phases[2].reachable);
  EXPECT_FALSE(cut_order(cut_words(phases, 2)).rules.listen);
}

}  // namespace
}  // namespace moat::shim
