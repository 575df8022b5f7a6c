#include <gtest/gtest.h>
#include <sys/socket.h>

#include "oci/socket.h"

namespace moat::oci {

namespace {

constexpr std::size_t kLimit = 100000;

struct Ends {
  UniqueFd ours, theirs;
};

Ends ends(int type) {
  auto pair = socket_pair(type);
  EXPECT_TRUE(pair);
  return pair ? Ends{std::move(pair->first), std::move(pair->second)} : Ends{};
}

}  // namespace

TEST(Packet, AShortMessageTakesNoRoomForALongOne) {
  const Ends e = ends(SOCK_SEQPACKET);
  ASSERT_TRUE(send_packet(e.theirs.raw(), "short", {}));
  const auto packet = receive_packet(e.ours.raw(), kLimit);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->data, "short");
  EXPECT_LT(packet->data.capacity(), 1000U);
}

TEST(Packet, AMessageAsLongAsTheLimitArrivesWhole) {
  const Ends e = ends(SOCK_SEQPACKET);
  const std::string text(kLimit, 'x');
  ASSERT_TRUE(send_packet(e.theirs.raw(), text, {e.theirs.raw()}));
  const auto packet = receive_packet(e.ours.raw(), kLimit);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->data, text);
  EXPECT_EQ(packet->fds.size(), 1U);
}

TEST(Packet, ALongerOneIsRefusedAndNotCut) {
  const Ends e = ends(SOCK_SEQPACKET);
  ASSERT_TRUE(send_packet(e.theirs.raw(), std::string(kLimit + 1, 'x'), {}));
  const auto packet = receive_packet(e.ours.raw(), kLimit);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::InvalidArgument);
}

TEST(Packet, WithoutOneNothingWaits) {
  const Ends e = ends(SOCK_SEQPACKET | SOCK_NONBLOCK);
  const auto packet = receive_packet(e.ours.raw(), kLimit);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::Unavailable);
}

TEST(Packet, TheEndOfTheOtherIsTold) {
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
    Ends e = ends(type);
    e.theirs.reset();
    const auto packet = receive_packet(e.ours.raw(), kLimit);
    ASSERT_TRUE(packet);
    EXPECT_TRUE(packet->closed);
  }
}

TEST(Packet, AStreamGivesWhatIsThere) {
  const Ends e = ends(SOCK_STREAM);
  ASSERT_TRUE(send_packet(e.theirs.raw(), "some text", {e.theirs.raw()}));
  const auto packet = receive_packet(e.ours.raw(), kLimit);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->data, "some text");
  EXPECT_EQ(packet->fds.size(), 1U);
}

}  // namespace moat::oci
