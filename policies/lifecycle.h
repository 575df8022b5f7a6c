// The phase machine of one container: facts and time in, effects out. No clock of its own.
#pragma once

#include <chrono>
#include <optional>
#include <variant>
#include <vector>

#include "policies/policy.h"

namespace moat::policies {

using Instant = std::chrono::milliseconds;  // on any monotonic clock

// What the kernel (or the shim) saw.
struct ModelOpened {};
struct Listening {
  std::uint16_t port = 0;  // 0: unknown
};
struct Signalled {
  int signal;
};
struct TimerFired {};
struct TransitionDone {};    // the shim carried out the transition asked for
struct TransitionFailed {};  // it could not; the phase stays
using Happening =
    std::variant<ModelOpened, Listening, Signalled, TimerFired, TransitionDone, TransitionFailed>;

// What has to be done. `Enter` asks for a transition; the phase changes when TransitionDone
// arrives.
struct Enter {
  Phase to;
};
struct ArmTimer {
  Instant at;
};
struct DisarmTimer {};
struct NoteHealth {
  const char* what;  // e.g. init ended by its timeout without an artifact
};
using Effect = std::variant<Enter, ArmTimer, DisarmTimer, NoteHealth>;

class Lifecycle {
 public:
  // Copies the triggers it needs. `now`: when the container started. A TimerFired as the first step
  // arms the timer of `init` itself.
  Lifecycle(const Policy& policy, Instant now);

  std::vector<Effect> step(const Happening& happening, Instant now);

  // Goes on where another left off, as far as that is known: what is not counts as not happened,
  // so no phase ends early. `pending`: its transition is being carried out.
  void resume(Phase phase, std::optional<Phase> pending, Instant since, bool listening);

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] std::optional<Phase> pending() const { return pending_; }
  [[nodiscard]] Instant since() const { return since_; }
  [[nodiscard]] bool listening() const { return listening_; }

 private:
  // What happens at a point in time if nothing else does before.
  struct Due {
    Instant at;
    Phase to;
    const char* note = nullptr;  // worth a health event
  };

  void take_in(const Happening& happening, Instant now);
  void finish(bool done, Instant now);
  [[nodiscard]] std::optional<Due> next_due() const;
  [[nodiscard]] std::optional<Due> listen_to_load() const;
  [[nodiscard]] std::optional<Due> timeout_to_load() const;
  [[nodiscard]] std::optional<Due> quiet_to_warmup() const;
  [[nodiscard]] std::optional<Due> settle_to_serve() const;
  [[nodiscard]] std::optional<Due> timeout_to_serve() const;
  [[nodiscard]] const std::optional<Trigger>& trigger(Phase phase) const {
    return triggers_[static_cast<std::size_t>(phase)];
  }
  void enter(Phase to, std::vector<Effect>& effects);
  void arm(std::optional<Instant> at, std::vector<Effect>& effects);

  std::array<std::optional<Trigger>, kPhases.size()> triggers_{};
  Phase phase_ = Phase::Init;
  std::optional<Phase> pending_;
  Instant since_{0};
  bool loaded_ = false;  // an artifact was opened, or `init` ended without one
  bool listening_ = false;
  bool stopping_ = false;     // shutdown was asked for, perhaps while a transition was pending
  Instant last_activity_{0};  // last artifact open or listen: what `settle` counts from
  Instant not_before_{0};     // a transition that failed is not tried again at once
  std::optional<Instant> armed_;
};

}  // namespace moat::policies
