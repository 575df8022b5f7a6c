// The programs at a cgroup of its own: what a process in it can reach, phase by phase, with sockets
// of every kind, made before and after.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "tests/support/held_network.h"

namespace moat::shim::test_network {
namespace {

TEST_F(Network, NothingIsReachedBeforeTheFirstPhase) {
  hold(only(stream_.port()));
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), EPERM);
  EXPECT_EQ(stream_.heard(), 0);
}

TEST_F(Network, OnlyWhatThePhaseNamesIsReached) {
  hold(only(stream_.port()));
  enter(Phase::Init);
  EXPECT_EQ(inside([&] { return tcp(other_.port()); }), 0);
  EXPECT_EQ(other_.heard(), 1);
  enter(Phase::Load);
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), 0);
  EXPECT_EQ(inside([&] { return tcp(other_.port()); }), EPERM);
  enter(Phase::Serve);
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), EPERM);
  EXPECT_EQ(stream_.heard(), 1);
  EXPECT_EQ(other_.heard(), 0);
}

TEST_F(Network, ANetworkAndAnyPortOfItCanBeNamed) {
  hold("'127.0.0.0/8'");
  enter(Phase::Load);
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), 0);
  EXPECT_EQ(inside([&] { return tcp(other_.port()); }), 0);
}

TEST_F(Network, AMappedAddressIsTheOneItMeans) {
  hold(only(stream_.port()));
  enter(Phase::Load);
  const auto try_mapped = [](std::uint16_t port) {
    const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in6 to = mapped(port);
    return error_unless(::connect(fd.raw(), generic(to), sizeof to) == 0);
  };
  EXPECT_EQ(inside([&] { return try_mapped(stream_.port()); }), 0);
  EXPECT_EQ(inside([&] { return try_mapped(other_.port()); }), EPERM);
  EXPECT_EQ(inside([&] {
              const UniqueFd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              const sockaddr_in6 to = mapped(other_datagram_.port());
              return error_unless(::sendto(fd.raw(), "x", 1, 0, generic(to), sizeof to) == 1);
            }),
            EPERM);
  EXPECT_EQ(other_datagram_.heard(), 0);
}

TEST_F(Network, ConnectingOnTheSideIsConnecting) {
  hold(only(stream_.port()));
  enter(Phase::Load);
  EXPECT_EQ(inside([&] {
              const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
              return send_to(fd.raw(), other_.port(), MSG_FASTOPEN);
            }),
            EPERM);
  EXPECT_EQ(inside([&] {
              constexpr int kMptcp = 262;
              const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, kMptcp));
              return fd.valid() ? connect_to(fd.raw(), other_.port()) : EPERM;
            }),
            EPERM);
  EXPECT_EQ(other_.heard(), 0);
}

TEST_F(Network, SocketsMadeEarlierAreHeldToThePhaseTheyAreUsedIn) {
  hold(only(datagram_.port()));
  enter(Phase::Init);
  EXPECT_EQ(inside([&] {
              const UniqueFd plain(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              const UniqueFd joined(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              const UniqueFd later(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              const UniqueFd stream(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
              if (connect_to(joined.raw(), other_datagram_.port()) != 0) return 100;
              enter(Phase::Load);
              if (send_to(plain.raw(), other_datagram_.port()) != EPERM) return 101;
              if (::send(joined.raw(), "x", 1, 0) == 1 || errno != EPERM) return 102;
              if (connect_to(later.raw(), other_datagram_.port()) != EPERM) return 103;
              if (connect_to(stream.raw(), other_.port()) != EPERM) return 104;
              sockaddr_in to = local(other_datagram_.port());
              iovec part{const_cast<char*>("x"), 1};
              mmsghdr many{};
              many.msg_hdr.msg_name = &to;
              many.msg_hdr.msg_namelen = sizeof to;
              many.msg_hdr.msg_iov = &part;
              many.msg_hdr.msg_iovlen = 1;
              if (::sendmmsg(plain.raw(), &many, 1, 0) == 1 || errno != EPERM) return 105;
              return send_to(plain.raw(), datagram_.port());
            }),
            0);
  EXPECT_EQ(datagram_.heard(), 1);
  EXPECT_EQ(other_datagram_.heard(), 0);
  EXPECT_EQ(other_.heard(), 0);
}

// The first packet of a connect() is sent again every second or two; the phase began meanwhile.
TEST_F(Network, AConnectionBegunEarlierDoesNotComeAbout) {
  for (const bool allowed : {false, true}) {
    const UniqueFd full(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = local(0);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(full.raw(), generic(address), length), 0);
    ASSERT_EQ(::listen(full.raw(), 0), 0);
    ::getsockname(full.raw(), reinterpret_cast<sockaddr*>(&address), &length);
    const std::uint16_t port = ntohs(address.sin_port);
    const auto begin = [&] {
      UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)connect_to(fd.raw(), port);
      return fd;
    };
    const UniqueFd filling = begin();  // the queue has room for one
    hold(only(allowed ? port : stream_.port()));
    enter(Phase::Init);
    EXPECT_EQ(inside([&] {
                const UniqueFd begun = begin();
                pollfd ready{begun.raw(), POLLOUT, 0};
                if (::poll(&ready, 1, 50) != 0) return 100;
                enter(Phase::Load);
                const UniqueFd room(::accept(full.raw(), nullptr, nullptr));
                return ::poll(&ready, 1, 3500);
              }),
              allowed ? 1 : 0);
    const auto told = records();
    EXPECT_EQ(told.empty(), allowed);
    if (!told.empty()) {
      EXPECT_EQ(policies::address_text(told[0]), "127.0.0.1:" + std::to_string(port));
    }
    hooks_.reset();
    group_.clean();
  }
}

TEST_F(Network, ARawSocketMadeEarlierSendsNothing) {
  hold(only(datagram_.port()));
  enter(Phase::Init);
  EXPECT_EQ(
      inside([&] {
        const UniqueFd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
        const UniqueFd ping(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
        if (!raw.valid() || !ping.valid()) return 100;
        enter(Phase::Load);
        const std::array<char, 20> header{};
        const sockaddr_in to = local(0);
        for (const UniqueFd* fd : {&raw, &ping})
          if (::sendto(fd->raw(), header.data(), header.size(), 0, generic(to), sizeof to) >= 0)
            return 101;
        return errno;
      }),
      EPERM);
}

TEST_F(Network, AServersAnswersAreNotNewConnections) {
  hold(only(stream_.port()));
  enter(Phase::Serve);
  int ports[2];
  ASSERT_EQ(::pipe(ports), 0);
  std::thread client([&] {
    std::uint16_t port = 0;
    ASSERT_EQ(::read(ports[0], &port, sizeof port), 2);
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect_to(fd.raw(), port), 0);
    char byte = 0;
    EXPECT_EQ(::recv(fd.raw(), &byte, 1, 0), 1);
  });
  EXPECT_EQ(inside([&] {
              const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
              if (::listen(fd.raw(), 1) != 0) return 100;  // bound by the kernel itself
              sockaddr_in address{};
              socklen_t length = sizeof address;
              ::getsockname(fd.raw(), reinterpret_cast<sockaddr*>(&address), &length);
              const std::uint16_t port = ntohs(address.sin_port);
              if (::write(ports[1], &port, sizeof port) != 2) return 101;
              const UniqueFd peer(::accept(fd.raw(), nullptr, nullptr));
              return error_unless(::send(peer.raw(), "x", 1, 0) == 1);
            }),
            0);
  client.join();
  ::close(ports[0]);
  ::close(ports[1]);
}

TEST_F(Network, UnixSocketsAreAClass) {
  const auto to_nobody = [](int type) {
    const UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strcpy(to.sun_path + 1, "moat-nobody");
    return type == SOCK_STREAM ? error_unless(::connect(fd.raw(), generic(to), 14) == 0)
                               : error_unless(::sendto(fd.raw(), "x", 1, 0, generic(to), 14) == 1);
  };
  hold(only(stream_.port()));
  if (!hooks_->holds_unix()) GTEST_SKIP() << "Unix sockets cannot be held before Linux 6.7";
  enter(Phase::Init);
  EXPECT_EQ(inside([&] { return to_nobody(SOCK_STREAM); }), ECONNREFUSED);
  enter(Phase::Load);
  EXPECT_EQ(inside([&] { return to_nobody(SOCK_STREAM); }), EPERM);
  EXPECT_EQ(inside([&] { return to_nobody(SOCK_DGRAM); }), EPERM);
  EXPECT_EQ(inside([&] {
              int pair[2];
              if (::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) return errno;
              return error_unless(::send(pair[0], "x", 1, 0) == 1);
            }),
            0);
}

TEST_F(Network, AnOwnPlaceIsForWhoMayListen) {
  hold(only(stream_.port()));
  enter(Phase::Load);
  const auto place = [](int type, std::uint16_t port) {
    const UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const sockaddr_in to = local(port);
    return error_unless(::bind(fd.raw(), generic(to), sizeof to) == 0);
  };
  const auto place6 = [](std::uint16_t port) {
    const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in6 to = mapped(port);
    return error_unless(::bind(fd.raw(), generic(to), sizeof to) == 0);
  };
  EXPECT_EQ(inside([&] { return place(SOCK_STREAM, 18080); }), EPERM);
  EXPECT_EQ(inside([&] { return place6(18080); }), EPERM);
  EXPECT_EQ(inside([&] { return place(SOCK_DGRAM, 18080); }), EPERM);
  EXPECT_EQ(inside([&] { return place(SOCK_DGRAM, 0); }), 0);
  const auto told = records();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(policies::address_text(told.front()), "127.0.0.1:18080");
  enter(Phase::Init);
  EXPECT_EQ(inside([&] { return place(SOCK_STREAM, 18080); }), 0);
}

TEST_F(Network, OddSocketsAreNotMade) {
  hold(only(stream_.port()));
  enter(Phase::Load);
  const auto make = [](int family, int type, int protocol) {
    const UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, protocol));
    return error_unless(fd.valid());
  };
  for (const int family : {AF_INET, AF_INET6}) {
    EXPECT_EQ(inside([&] { return make(family, SOCK_STREAM, 0); }), 0);
    EXPECT_EQ(inside([&] { return make(family, SOCK_DGRAM, 0); }), 0);
    EXPECT_EQ(inside([&] { return make(family, SOCK_RAW, IPPROTO_TCP); }), EPERM);
    EXPECT_EQ(inside([&] { return make(family, SOCK_RAW, IPPROTO_RAW); }), EPERM);
    EXPECT_EQ(inside([&] { return make(family, SOCK_DGRAM, IPPROTO_UDPLITE); }), EPERM);
  }
  EXPECT_EQ(inside([&] { return make(AF_UNIX, SOCK_DGRAM, 0); }), 0);
}

TEST_F(Network, ARefusalIsTold) {
  hold(only(stream_.port()));
  enter(Phase::Load);
  EXPECT_EQ(inside([&] {
              ::prctl(PR_SET_NAME, "thief");
              return tcp(other_.port());
            }),
            EPERM);
  const auto told = records();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(policies::address_text(told[0]), "127.0.0.1:" + std::to_string(other_.port()));
  EXPECT_EQ(told[0].phase, policies::phase_word(Phase::Load));
  EXPECT_STREQ(told[0].comm.data(), "thief");
  EXPECT_NE(told[0].pid_tgid, 0U);
}

TEST_F(Network, AuditTellsAndLetsGo) {
  hold(only(stream_.port()), Mode::Audit);
  EXPECT_EQ(inside([&] { return tcp(other_.port()); }), 0) << "before the first phase";
  EXPECT_TRUE(records().empty());
  enter(Phase::Load);
  EXPECT_EQ(inside([&] { return tcp(other_.port()); }), 0);
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), 0);
  EXPECT_EQ(other_.heard(), 2);
  EXPECT_EQ(records().size(), 1U);
}

TEST_F(Network, RecordsWithoutRoomAreCounted) {
  hold(only(stream_.port()));
  enter(Phase::Load);
  EXPECT_EQ(inside([&] {
              for (int i = 0; i < 2000; ++i) (void)tcp(other_.port());
              return 0;
            }),
            0);
  const auto state = SharedState::of(hooks_->state(), false);
  ASSERT_TRUE(state);
  std::size_t told = 0;
  for (std::size_t more = 1; more > 0; told += more) more = records().size();
  EXPECT_EQ(told + state->lost(), 2000U);
  EXPECT_GT(state->lost(), 0U);
}

TEST_F(Network, ASessionIsNotTheContainers) {
  hold(only(stream_.port()));
  enter(Phase::Serve);
  EXPECT_EQ(inside([&] {
              if (!hooks_->admit(::getpid())) return 100;
              return tcp(other_.port());
            }),
            0);
  EXPECT_EQ(inside([&] { return tcp(other_.port()); }), EPERM);
}

TEST_F(Network, TheLastPhaseOutlivesWhoeverSetIt) {
  hold(only(stream_.port()));
  enter(Phase::Serve);
  hooks_.reset();
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), EPERM);
}

TEST_F(Network, WhatWasDetachedIsPutBack) {
  hold(only(stream_.port()));
  enter(Phase::Serve);
  EXPECT_EQ(hooks_->repair(), false);
  const auto cgroup = oci::open_file(group_.path(), O_RDONLY | O_DIRECTORY);
  // The second one holds the first packet of what has escaped the first.
  for (const bpf_attach_type type : {BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET_EGRESS}) {
    const auto ids = bpf::attached(cgroup->raw(), type);
    ASSERT_TRUE(ids);
    ASSERT_EQ(ids->size(), 1U);
    bpf_attr by_id{};
    by_id.prog_id = ids->front();
    const UniqueFd program(
        static_cast<int>(::syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &by_id, sizeof by_id)));
    ASSERT_TRUE(bpf::detach(cgroup->raw(), program.raw(), type));
  }
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), 0) << "the fault shows";
  EXPECT_EQ(hooks_->repair(), true);
  EXPECT_EQ(inside([&] { return tcp(stream_.port()); }), EPERM);
}

// The address is changed by a sibling, all the time; what is allowed is what the kernel connects
// to.
TEST_F(Network, ARacedAddressReachesNobody) {
  hold(only(datagram_.port()));
  enter(Phase::Load);
  EXPECT_EQ(inside([&] {
              alignas(8) sockaddr_in to = local(datagram_.port());
              const in_port_t good = to.sin_port, bad = htons(other_datagram_.port());
              std::atomic<bool> over{false};
              std::thread racer([&] {
                while (!over.load(std::memory_order_relaxed)) {
                  std::atomic_ref(to.sin_port).store(bad);
                  std::atomic_ref(to.sin_port).store(good);
                }
              });
              const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              int sent = 0, refused = 0;
              for (int i = 0; i < 100000; ++i)
                ++(::sendto(fd.raw(), "x", 1, 0, generic(to), sizeof to) == 1 ? sent : refused);
              over = true;
              racer.join();
              return sent > 0 && refused > 0 ? 0 : 100;
            }),
            0);
  EXPECT_EQ(other_datagram_.heard(), 0);
}

}  // namespace
}  // namespace moat::shim::test_network
