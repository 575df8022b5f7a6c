// The journal of questions in flight, in memory the shim shares with the supervisor. It *is* the
// receive buffer: a question is in it before any code of ours has seen it, so a supervisor that
// dies on return from the kernel leaves nothing unrecorded.
#pragma once

#include <linux/seccomp.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::shim {

inline constexpr std::size_t kSlots = 256;              // questions at once; beyond: left queued
inline constexpr std::size_t kHeldOpens = 1024;         // fanotify events waiting for a transition
inline constexpr std::size_t kTallies = 64;             // containers whose counters survive
inline constexpr std::size_t kEventBuffer = 16U << 10;  // one fanotify read

struct Slot {
  std::atomic<std::uint32_t> listener;  // 0: free; otherwise the listener's number
  seccomp_notif question;
};

struct HeldOpen {
  std::atomic<std::uint32_t> group;  // 0: free; otherwise the group's number
  std::int32_t fd;                   // the number the reader was given: what an answer names
};

// What a supervisor counts of a container, and its successor goes on counting.
struct Tally {
  std::uint32_t container;  // 0: free; otherwise the container's number
  bool listening;
  std::uint64_t violations, would_denies, notifications, open_events;
  std::uint64_t phase_notifications, phase_opens, quiet, strangers;
};

struct JournalPage {
  std::array<Slot, kSlots> slots;
  std::array<HeldOpen, kHeldOpens> opens;
  std::array<Tally, kTallies> tallies;
  std::atomic<std::uint32_t>
      event_group;  // whose events the buffer holds: zero where there is none
  alignas(8) std::array<std::byte, kEventBuffer> events;
};

class Journal {
 public:
  static Result<Journal> create();                 // the shim
  static Result<Journal> attach(UniqueFd memory);  // the supervisor

  [[nodiscard]] int fd() const { return memory_.raw(); }
  [[nodiscard]] JournalPage& page() { return *page_; }

  // A free, zeroed slot marked with `listener`, or null when all are in use.
  Slot* take(std::uint32_t listener);
  static void release(Slot* slot);

  // The counters of a container: those of an earlier supervisor, or fresh ones. Null: none left.
  Tally* tally(std::uint32_t container);

 private:
  struct Unmap {
    void operator()(JournalPage* page) const;
  };
  Journal(UniqueFd memory, JournalPage* page) : memory_(std::move(memory)), page_(page) {}
  static Result<Journal> map(UniqueFd memory);
  UniqueFd memory_;
  std::unique_ptr<JournalPage, Unmap> page_;
};

}  // namespace moat::shim
