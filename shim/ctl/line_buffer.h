// Lines out of the pieces a file delivers. Pure; bounded, whatever the file holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moat::shim::ctl {

// moat's own lines are shorter than 16 KiB.
inline constexpr std::size_t kMaxLine = 64U << 10;

class LineBuffer {
 public:
  void push(std::string_view bytes);

  // The next complete line without its end; an overlong one comes as its beginning.
  std::optional<std::string> next();

  // What stands after the last line's end, and forgets it. Nothing if that is nothing.
  std::optional<std::string> rest();

 private:
  std::string buffer_;
  std::size_t at_ = 0;     // what lies before has been handed out
  bool overlong_ = false;  // the line at `at_` is cut: the rest of it is dropped as it comes
};

}  // namespace moat::shim::ctl
