// What a watched container tells the outside.
#include <csignal>

#include "oci/sys.h"
#include "shim/supervise/watched.h"

namespace moat::shim {

using policies::EventKind;

policies::Event Watched::blank(EventKind kind) const {
  policies::Event event;
  event.kind = kind;
  event.mode = adopted_.mode;
  event.phase.name = in_force();
  event.phase.since_ms = (policies::Instant(oci::monotonic_ms()) - lifecycle_.since()).count();
  event.policy_name = policy_.name();
  event.policy_digest = adopted_.policy_digest;
  event.policy_source = adopted_.policy_source;
  event.container = adopted_.container;
  return event;
}

void Watched::emit(const policies::Event& event) {
  log_.write(event);
}

// Clients see a container that was killed, and this says why.
void Watched::terminate() {
  if (std::exchange(terminated_, true)) return;
  health("critical", "the container is killed: its policy's reaction to a violation");
  parts_.tell_shim(hooks::Terminate{adopted_.container.id});
}

void Watched::health(std::string severity, std::string message) {
  policies::Event event = blank(EventKind::Health);
  event.severity = std::move(severity);
  event.message = std::move(message);
  emit(event);
}

// A broken volume makes many of them: at most one event a second, and none is left uncounted.
void Watched::note_unreadable() {
  constexpr std::chrono::milliseconds kPause{1000};
  ++unreadable_;
  if (std::exchange(unreadable_told_, true)) return;
  tell_unreadable();
  parts_.loop.after(kPause, [this, alive = alive_] {
    if (!*alive) return;
    unreadable_told_ = false;
    if (unreadable_ == 0) return;
    --unreadable_;
    note_unreadable();
  });
}

void Watched::tell_unreadable() {
  if (unreadable_ == 0) return;
  policies::Event event = blank(EventKind::Health);
  event.severity = "warning";
  event.message = "an argument could not be read in time";
  event.numbers["unreadable"] = static_cast<std::int64_t>(std::exchange(unreadable_, 0));
  emit(event);
}

void Watched::report(const policies::Decision& decision, const policies::Outcome& outcome,
                     pid_t tid, policies::Event event) {
  const bool denied = outcome.report == policies::Report::Violation;
  ++(denied ? tally_->violations : tally_->would_denies);
  const std::int64_t second = oci::monotonic_ms() / 1000;
  if (second != report_second_) {
    if (suppressed_ > 0) {
      policies::Event drop = blank(EventKind::Drop);
      drop.severity = "warning";
      drop.message = "more reports in a second than are written";
      drop.numbers["suppressed"] = static_cast<std::int64_t>(suppressed_);
      emit(drop);
    }
    report_second_ = second;
    reports_ = suppressed_ = 0;
    most_reports_ = log_.is_long() ? kReportsOfALongFile : kReportsPerSecond;
  }
  if (++reports_ > most_reports_) {
    ++suppressed_;
    return;
  }
  event.kind = denied ? EventKind::Violation : EventKind::WouldDeny;
  event.severity = denied ? "critical" : "high";
  event.action = denied ? "denied" : "audited";
  event.rule = decision.rule;
  event.object = decision.object;
  if (const auto* refuse = std::get_if<policies::Refuse>(&outcome.verdict)) event.err = refuse->err;
  if (std::holds_alternative<policies::KillCaller>(outcome.verdict)) event.action = "killed";
  if (std::holds_alternative<policies::Terminate>(outcome.verdict)) event.action = "terminated";
  if (tid != 0 && (!event.process || event.process->tid == 0)) {
    policies::ProcessInfo process = describe(tid);
    if (event.process) process.argv = std::move(event.process->argv);
    event.process = std::move(process);
  }
  emit(event);
}

// Nobody in the container can have done it, and nobody waits for an answer: it is there, and held.
void Watched::mounted(const hooks::Mounted& message) {
  policies::Decision decision;
  decision.object = {policies::ObjectType::System, message.point};
  decision.rule = "never.mount";
  policies::Outcome outcome = policies::outcome(policy_, adopted_.mode, decision);
  const policies::Verdict reaction = std::exchange(outcome.verdict, policies::Continue{});
  policies::Event event = blank(EventKind::Violation);
  event.message = message.gone ? "a mount was taken from the container: "
                               : "a mount has appeared in the container: ";
  event.message += message.point + " (" + message.fstype + " of " + message.source + ")";
  report(decision, outcome, 0, std::move(event));
  punish(reaction, 0, [] { return false; });
}

// `waits`: whether the caller does, for its answer; as long as that is so its number is its own.
void Watched::punish(const policies::Verdict& verdict, pid_t tid,
                     const std::function<bool()>& waits) {
  if (std::holds_alternative<policies::KillCaller>(verdict)) {
    const auto pidfd = oci::pidfd_open(thread_group_of(tid));
    if (pidfd && waits()) (void)oci::pidfd_signal(pidfd->raw(), SIGKILL);
  } else if (std::holds_alternative<policies::Quarantine>(verdict)) {
    // After the answer: a call that is frozen while it waits would be made again when it goes on.
    parts_.loop.post(
        [tell = parts_.tell_shim, id = adopted_.container.id] { tell(hooks::Freeze{id}); });
  } else if (std::holds_alternative<policies::Terminate>(verdict)) {
    terminate();
  }
}

}  // namespace moat::shim
