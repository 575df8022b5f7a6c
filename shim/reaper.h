// Reaps the orphans a subreaper inherits, without taking the exit status of a child somebody waits
// for.
#pragma once

#include <sys/types.h>

#include <memory>
#include <set>

#include "oci/loop.h"

namespace moat::shim {

class Reaper {
 public:
  explicit Reaper(oci::Loop& loop) : loop_(loop) {}

  // While one is held no stranger is reaped: it may be a process of a container whose pid file has
  // not been read yet, or a runtime still being waited for. Every oci::run() needs one.
  class Hold {
   public:
    Hold() = default;
    explicit Hold(Reaper& reaper) : reaper_(&reaper) { ++reaper.holds_; }
    Hold(Hold&& other) noexcept : reaper_(std::exchange(other.reaper_, nullptr)) {}
    Hold& operator=(Hold&& other) noexcept {
      release();
      reaper_ = std::exchange(other.reaper_, nullptr);
      return *this;
    }
    ~Hold() { release(); }
    void release() {
      if (Reaper* reaper = std::exchange(reaper_, nullptr)) reaper->released();
    }

   private:
    Reaper* reaper_ = nullptr;
  };
  [[nodiscard]] Hold hold() { return Hold(*this); }

  // A child whose status is taken through its pidfd, from now until forget().
  void know(pid_t pid) { known_.insert(pid); }
  void forget(pid_t pid);

  // Reaps what may be reaped now. Called on SIGCHLD, which the kernel merges, and by the above.
  void sweep();

 private:
  void released();
  void sweep_soon();

  oci::Loop& loop_;
  std::set<pid_t> known_;
  int holds_ = 0;
  bool posted_ = false;
};

}  // namespace moat::shim
