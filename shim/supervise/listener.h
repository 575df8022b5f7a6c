// The seam over the seccomp listener's ioctls, and the token of one question.
#pragma once

#include <cstdint>
#include <memory>

#include "oci/fd.h"
#include "policies/verdict.h"
#include "shim/supervise/journal.h"

namespace moat::shim {

// What answers questions; the kernel's listener, or ten lines in a test.
class Port {
 public:
  virtual ~Port() = default;
  // `err` 0: the call goes on. NotFound: nobody waits any more.
  virtual Status send(std::uint64_t id, int err) = 0;
  // The call has been made for the asker, and returns 0.
  virtual Status done(std::uint64_t id) = 0;
  virtual bool still_waiting(std::uint64_t id) = 0;
};

// One question, answered exactly once. Forgotten is refused.
class Pending {
 public:
  Pending(std::shared_ptr<Port> port, Slot* slot) : port_(std::move(port)), slot_(slot) {}
  Pending(Pending&& other) noexcept
      : port_(std::move(other.port_)), slot_(std::exchange(other.slot_, nullptr)) {}
  Pending& operator=(Pending&&) = delete;
  ~Pending();

  void go_on() &&;
  void done() &&;
  void refuse(int err) &&;

  [[nodiscard]] const seccomp_notif& question() const { return slot_->question; }
  // False when the asker is gone or was interrupted; what was read from it then proves nothing.
  [[nodiscard]] bool still_waiting() const { return port_->still_waiting(slot_->question.id); }

 private:
  void answer(int err);
  std::shared_ptr<Port> port_;
  Slot* slot_;
};

class Listener : public Port {
 public:
  // Takes the descriptor; asks for synchronous wake-ups where the kernel (6.6) has them.
  Listener(UniqueFd fd, std::uint32_t number);

  // Receives one question straight into a journal slot. NotFound: it vanished; Unavailable: no
  // slot.
  Result<Slot*> receive(Journal& journal);
  Status send(std::uint64_t id, int err) override;
  Status done(std::uint64_t id) override;
  bool still_waiting(std::uint64_t id) override;

  [[nodiscard]] int fd() const { return fd_.raw(); }

 private:
  UniqueFd fd_;
  std::uint32_t number_;
};

}  // namespace moat::shim
