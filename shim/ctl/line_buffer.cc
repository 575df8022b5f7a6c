#include "shim/ctl/line_buffer.h"

#include <algorithm>

namespace moat::shim::ctl {

void LineBuffer::push(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  if (overlong_) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end);
    overlong_ = false;
  }
  buffer_.append(bytes);
}

std::optional<std::string> LineBuffer::next() {
  if (overlong_) return std::nullopt;
  const std::size_t end = buffer_.find('\n', at_);
  if (end != std::string::npos) {
    std::string line = buffer_.substr(at_, std::min(end - at_, kMaxLine));
    at_ = end + 1;
    return line;
  }
  if (buffer_.size() - at_ > kMaxLine) {
    buffer_.resize(at_ + kMaxLine);
    overlong_ = true;
  }
  return std::nullopt;
}

std::optional<std::string> LineBuffer::rest() {
  std::string line = buffer_.substr(at_);
  buffer_.clear();
  at_ = 0;
  overlong_ = false;
  if (line.empty()) return std::nullopt;
  return line;
}

}  // namespace moat::shim::ctl
