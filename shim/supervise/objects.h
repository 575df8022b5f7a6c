// The fanotify group of one container: which file an open really reaches. Events are read straight
// into the journal; each is answered exactly once, and forgotten means refused.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "oci/fd.h"
#include "shim/supervise/journal.h"

namespace moat::shim {

// One open that waits for an answer.
class HeldEvent {
 public:
  HeldEvent(int group, HeldOpen* held) : group_(group), held_(held) {}
  HeldEvent(HeldEvent&& other) noexcept
      : group_(other.group_), held_(std::exchange(other.held_, nullptr)) {}
  HeldEvent& operator=(HeldEvent&&) = delete;
  ~HeldEvent();

  void allow() &&;
  void deny() &&;

 private:
  void answer(std::uint32_t response);
  int group_;  // borrowed from the group, which outlives its events
  HeldOpen* held_;
};

struct OpenEvent {
  pid_t tid = 0;
  bool exec = false;
  bool interpreter = false;  // opened by the kernel for the program whose exec event came before
  std::string path;          // as seen in the container
};

class ObjectGroup {
 public:
  using Handler = std::function<void(OpenEvent, HeldEvent)>;

  ObjectGroup(UniqueFd group, std::uint32_t number);

  // Reads one batch and hands each event over; returns how many there were.
  std::size_t read(Journal& journal, const Handler& handle);
  [[nodiscard]] int fd() const { return group_.raw(); }

 private:
  UniqueFd group_;
  UniqueFd numbers_;
  std::uint32_t number_;
};

}  // namespace moat::shim
