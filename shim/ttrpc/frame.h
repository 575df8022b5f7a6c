// ttrpc frames as values: encoding, and decoding from whatever pieces a socket delivers.
// No sockets here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moat::shim::ttrpc {

inline constexpr std::size_t kHeaderSize = 10;
inline constexpr std::size_t kMaxPayload = 4U << 20;  // the protocol's own limit

// Types and flags stay raw bytes: a peer may send any, and unknown ones are to be ignored.
inline constexpr std::uint8_t kRequest = 1;
inline constexpr std::uint8_t kResponse = 2;
inline constexpr std::uint8_t kData = 3;

struct Frame {
  std::uint32_t stream = 0;
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::string_view payload;   // valid until the next push()
  std::size_t oversized = 0;  // the announced length, when it exceeds the limit; no payload then
};

std::string encode_frame(std::uint32_t stream, std::uint8_t type, std::string_view payload);

class FrameReader {
 public:
  void push(std::string_view bytes);

  // The next complete frame; nothing while one is still incomplete. A frame above the limit is
  // reported once, at its header, and its bytes are dropped as they arrive.
  std::optional<Frame> next();

 private:
  void skip();
  void compact();

  std::string buffer_;
  std::size_t at_ = 0;       // what lies before has been handed out
  std::size_t to_skip_ = 0;  // bytes of an oversized payload still to come
};

}  // namespace moat::shim::ttrpc
