#include "shim/ttrpc/frame.h"

#include <algorithm>

namespace moat::shim::ttrpc {

namespace {

constexpr std::size_t kKeepCapacity = 16U << 10;  // an idle connection holds no more than this

std::uint32_t big_endian(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

void put_big_endian(std::string& out, std::size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

}  // namespace

std::string encode_frame(std::uint32_t stream, std::uint8_t type, std::string_view payload) {
  std::string out;
  out.reserve(kHeaderSize + payload.size());
  put_big_endian(out, payload.size());
  put_big_endian(out, stream);
  out.push_back(static_cast<char>(type));
  out.push_back(0);  // flags: nothing we send is streamed
  out.append(payload);
  return out;
}

void FrameReader::push(std::string_view bytes) {
  compact();
  const std::size_t skipped = std::min(to_skip_, bytes.size());
  to_skip_ -= skipped;
  buffer_.append(bytes.substr(skipped));
}

void FrameReader::compact() {
  if (at_ == 0) return;
  buffer_.erase(0, at_);
  at_ = 0;
  if (buffer_.size() < kKeepCapacity && buffer_.capacity() > kKeepCapacity) buffer_.shrink_to_fit();
}

void FrameReader::skip() {
  const std::size_t here = std::min(to_skip_, buffer_.size() - at_);
  at_ += here;
  to_skip_ -= here;
}

std::optional<Frame> FrameReader::next() {
  skip();
  if (to_skip_ > 0 || buffer_.size() - at_ < kHeaderSize) return std::nullopt;
  const char* header = buffer_.data() + at_;
  const std::size_t length = big_endian(header);
  Frame frame;
  frame.stream = big_endian(header + 4);
  frame.type = static_cast<std::uint8_t>(header[8]);
  frame.flags = static_cast<std::uint8_t>(header[9]);
  if (length > kMaxPayload) {
    at_ += kHeaderSize;
    to_skip_ = length;
    skip();
    frame.oversized = length;
    return frame;
  }
  if (buffer_.size() - at_ - kHeaderSize < length) return std::nullopt;
  frame.payload = std::string_view(buffer_).substr(at_ + kHeaderSize, length);
  at_ += kHeaderSize + length;
  return frame;
}

}  // namespace moat::shim::ttrpc
