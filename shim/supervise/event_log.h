// Writes a container's events to its file, numbered without gaps; what could not be written is
// counted and said as soon as writing works again.
#pragma once

#include <cstdint>

#include "oci/fd.h"
#include "policies/event.h"

namespace moat::shim {

// Of one container: a payload has it say what it likes, and the node's disk is everybody's.
inline constexpr std::uint64_t kLongFile = 64U << 20;

class EventLog {
 public:
  // `resumed`: what the file ends with is of an earlier writer, killed perhaps in half a line.
  explicit EventLog(UniqueFd file, bool resumed = false) : file_(std::move(file)) {
    if (resumed) go_on();
  }
  void write(const policies::Event& event);
  [[nodiscard]] bool is_long() const;  // so that reports should be few

 private:
  void go_on();
  bool put(const policies::Event& event);
  UniqueFd file_;
  std::uint64_t next_ = 1;
  std::uint64_t lost_ = 0;
};

}  // namespace moat::shim
