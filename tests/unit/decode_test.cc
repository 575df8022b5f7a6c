#include "shim/supervise/decode.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "shim/supervise/listener.h"

namespace moat::shim {
namespace {

template <class T>
std::string bytes(const T& value, std::size_t size = sizeof(T)) {
  return std::string(reinterpret_cast<const char*>(&value), size);
}

TEST(AddressText, NamesEveryFamilyAPolicyCanSpeakOf) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(443);
  in.sin_addr.s_addr = htonl(0x0a000001);
  EXPECT_EQ(address_text(bytes(in)), "10.0.0.1:443");

  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(80);
  in6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(address_text(bytes(in6)), "[::1]:80");

  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strcpy(un.sun_path, "/run/x.sock");
  EXPECT_EQ(address_text(bytes(un)), "unix:/run/x.sock");
  const std::string abstract = bytes(un, 2) + std::string("\0name", 5);
  EXPECT_EQ(address_text(abstract), "unix:@name");
}

TEST(AddressText, DoesNotReadBeyondWhatCame) {
  EXPECT_EQ(address_text(""), "");
  EXPECT_EQ(address_text("x"), "");
  const sa_family_t family = AF_INET;
  EXPECT_EQ(address_text(bytes(family)), "family 2");
  const sa_family_t local = AF_UNIX;
  EXPECT_EQ(address_text(bytes(local)), "unix:");
}

TEST(RowOf, KnowsOnlyTheNativeArchitecture) {
  seccomp_notif question{};
  question.data.arch = 0x40000003;  // i386
  question.data.nr = 11;
  EXPECT_EQ(row_of(question), nullptr);
}

// What answers, in a test: remembers instead of asking the kernel.
struct FakePort : Port {
  std::vector<std::pair<std::uint64_t, int>> sent;
  bool alive = true;
  Status done(std::uint64_t id) override { return send(id, -1); }
  Status send(std::uint64_t id, int err) override {
    sent.emplace_back(id, err);
    return {};
  }
  bool still_waiting(std::uint64_t) override { return alive; }
};

TEST(Pending, ForgottenMeansRefused) {
  auto journal = Journal::create();
  ASSERT_TRUE(journal);
  const auto port = std::make_shared<FakePort>();
  Slot* slot = journal->take(1);
  slot->question.id = 7;
  { const Pending forgotten(port, slot); }
  ASSERT_EQ(port->sent.size(), 1U);
  EXPECT_EQ(port->sent[0], std::make_pair(std::uint64_t{7}, EPERM));
  EXPECT_EQ(slot->listener.load(), 0U) << "the slot must be free again";
}

TEST(Pending, IsAnsweredExactlyOnce) {
  auto journal = Journal::create();
  ASSERT_TRUE(journal);
  const auto port = std::make_shared<FakePort>();
  {
    Pending first(port, journal->take(1));
    Pending moved(std::move(first));
    std::move(moved).go_on();
  }
  ASSERT_EQ(port->sent.size(), 1U);
  EXPECT_EQ(port->sent[0].second, 0);
}

TEST(Journal, HandsOutEverySlotOnceAndThenNone) {
  auto journal = Journal::create();
  ASSERT_TRUE(journal);
  std::vector<Slot*> taken;
  for (std::size_t i = 0; i < kSlots; ++i) taken.push_back(journal->take(1));
  EXPECT_EQ(std::ranges::count(taken, nullptr), 0);
  EXPECT_EQ(journal->take(1), nullptr);
  Journal::release(taken[17]);
  EXPECT_EQ(journal->take(2), taken[17]);
}

TEST(Journal, IsTheSameMemoryForWhoeverAttaches) {
  auto journal = Journal::create();
  ASSERT_TRUE(journal);
  auto other = Journal::attach(UniqueFd(::dup(journal->fd())));
  ASSERT_TRUE(other);
  journal->take(9)->question.id = 1234;
  EXPECT_EQ(other->page().slots[0].question.id, 1234U);
  EXPECT_EQ(other->page().slots[0].listener.load(), 9U);
}

}  // namespace
}  // namespace moat::shim
