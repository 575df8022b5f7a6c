// Moves bytes from one descriptor to another on the loop, without copying them where the kernel
// can, and only as fast as the receiver takes them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "oci/fd.h"
#include "oci/loop.h"

namespace moat::shim {

class Copier {
 public:
  // `from`: a non-blocking pipe or FIFO, a terminal, or a regular file, which is always ready.
  // `to`: a pipe, a FIFO (non-blocking) or a regular file. `keep_unread`: a FIFO whose reader we
  // have not seen yet is kept open until what is in it has been read: closing it would throw that
  // away.
  Copier(oci::Loop& loop, UniqueFd from, UniqueFd to, bool keep_unread);
  ~Copier() { close(); }
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  void start(
      std::function<void()> finished);  // called at end of file or error, never after close()
  void close();
  void avoid_splice() { by_hand_ = true; }  // a terminal says "nothing taken" where a pipe waits
  [[nodiscard]] bool finished() const { return !to_.valid(); }

 private:
  enum class Step { More, WaitSource, WaitSink, End };
  void run();
  Step copy_some();
  Step copy_by_hand();
  Step blocked() const;
  void wait_for(int fd, std::uint32_t events);
  void next_turn();
  void end();

  oci::Loop& loop_;
  UniqueFd from_, to_;
  bool keep_unread_;
  bool by_hand_ = false;
  int watched_ = -1;
  oci::Loop::TimerId timer_ = 0;
  std::string pending_;  // read by hand, not yet written
  std::function<void()> finished_;
};

}  // namespace moat::shim
