#include "shim/reaper.h"

#include <sys/wait.h>

namespace moat::shim {

void Reaper::forget(pid_t pid) {
  known_.erase(pid);
  sweep_soon();
}

void Reaper::released() {
  --holds_;
  sweep_soon();
}

void Reaper::sweep_soon() {
  if (std::exchange(posted_, true)) return;
  loop_.post([this] {
    posted_ = false;
    sweep();
  });
}

void Reaper::sweep() {
  while (holds_ == 0) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    // The first zombie is somebody's: it hides the ones behind it until its owner has taken it,
    // and forget() brings us back.
    if (known_.contains(info.si_pid)) return;
    if (::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG) != 0) return;
  }
}

}  // namespace moat::shim
