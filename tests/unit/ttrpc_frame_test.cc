#include "shim/ttrpc/frame.h"

#include <gtest/gtest.h>

#include <vector>

namespace moat::shim::ttrpc {
namespace {

struct Seen {
  std::uint32_t stream;
  std::uint8_t type;
  std::string payload;
  std::size_t oversized;
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::vector<Seen> drain(FrameReader& reader) {
  std::vector<Seen> seen;
  while (const auto frame = reader.next())
    seen.push_back({frame->stream, frame->type, std::string(frame->payload), frame->oversized});
  return seen;
}

std::string header(std::uint32_t length, std::uint32_t stream, std::uint8_t type) {
  std::string bytes;
  for (const std::uint32_t value : {length, stream})
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  bytes.push_back(static_cast<char>(type));
  bytes.push_back(0);
  return bytes;
}

TEST(TtrpcFrame, IsLengthStreamTypeFlagsPayloadInNetworkOrder) {
  EXPECT_EQ(encode_frame(0x01020304, kResponse, "ab"), std::string("\0\0\0\2\1\2\3\4\2\0ab", 12));
}

TEST(TtrpcFrame, ArrivesWholeHoweverItWasCut) {
  const std::string wire = encode_frame(1, kRequest, "first") + encode_frame(3, kRequest, "") +
                           encode_frame(5, kData, std::string(70000, 'x'));
  const std::vector<Seen> expected{
      {1, kRequest, "first", 0}, {3, kRequest, "", 0}, {5, kData, std::string(70000, 'x'), 0}};
  for (const std::size_t cut : {std::size_t{1}, std::size_t{9}, std::size_t{4096}, wire.size()}) {
    FrameReader reader;
    std::vector<Seen> seen;
    for (std::size_t at = 0; at < wire.size(); at += cut) {
      reader.push(std::string_view(wire).substr(at, cut));
      for (Seen& frame : drain(reader)) seen.push_back(std::move(frame));
    }
    EXPECT_EQ(seen, expected) << "in pieces of " << cut;
  }
}

TEST(TtrpcFrame, HalfAFrameIsNoFrame) {
  FrameReader reader;
  const std::string wire = encode_frame(1, kRequest, "payload");
  reader.push(std::string_view(wire).substr(0, wire.size() - 1));
  EXPECT_FALSE(reader.next());
}

TEST(TtrpcFrame, TheLimitItselfIsStillAllowed) {
  FrameReader reader;
  reader.push(encode_frame(1, kRequest, std::string(kMaxPayload, 'x')));
  const auto frame = reader.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload.size(), kMaxPayload);
}

TEST(TtrpcFrame, AnOversizedOneIsReportedOnceAndItsBytesAreDropped) {
  const std::uint32_t length = kMaxPayload + 1;
  FrameReader reader;
  reader.push(header(length, 7, kRequest));
  EXPECT_EQ(drain(reader), (std::vector<Seen>{{7, kRequest, "", length}}));
  const std::string piece(64U << 10, 'x');
  for (std::size_t left = length; left > 0;) {
    const std::size_t n = std::min(left, piece.size());
    reader.push(std::string_view(piece).substr(0, n));
    EXPECT_EQ(drain(reader), std::vector<Seen>{});
    left -= n;
  }
  reader.push(encode_frame(9, kRequest, "next"));
  EXPECT_EQ(drain(reader), (std::vector<Seen>{{9, kRequest, "next", 0}}));
}

TEST(TtrpcFrame, AnOversizedOneAndItsSuccessorMayComeInOnePiece) {
  FrameReader reader;
  reader.push(header(kMaxPayload + 3, 1, kRequest) + std::string(kMaxPayload + 3, 'x') +
              encode_frame(3, kRequest, "next"));
  EXPECT_EQ(drain(reader),
            (std::vector<Seen>{{1, kRequest, "", kMaxPayload + 3}, {3, kRequest, "next", 0}}));
}

}  // namespace
}  // namespace moat::shim::ttrpc
