// How a container enters a phase: each step with its undoing, so that a phase is in force as a
// whole or not at all. The artifact's open waits in the supervisor meanwhile.
#include <algorithm>

#include "oci/spawn.h"
#include "oci/sys.h"
#include "shim/log.h"
#include "shim/supervise/carried.h"
#include "shim/supervise/guarded_container.h"
#include "shim/supervise/marks.h"
#include "shim/supervise/unix_paths.h"

namespace moat::shim {

using policies::Phase;

namespace {

// All of them together must be shorter than the supervisor's own bound, so that its reason is ours.
constexpr std::chrono::milliseconds kFlipDeadline{8000}, kUndoDeadline{3000};
constexpr std::chrono::milliseconds kSettleDeadline{2000};  // of the supervisor, to take note
constexpr std::chrono::milliseconds kPatience{2000};        // for calls from before to end
constexpr std::chrono::milliseconds kLookDeadline{4000};    // with the look at what is open

constexpr auto kProgram = "containerd-shim-moat-v2";
constexpr std::size_t kMaxTold = 512;  // sessions that a command line names

}  // namespace

Status GuardedContainer::outcome_of(const Result<oci::RunResult>& run, const char* late) {
  if (!run) return fail(Error(run.error()));
  if (run->timed_out) return fail(Code::DeadlineExceeded, late);
  if (run->exit.status == 0) return {};
  if (!run->output.empty()) return fail(Code::FailedPrecondition, run->output);
  return fail(Code::Internal, "the helper ended with " + std::to_string(run->exit.status));
}

// A role of our own binary, in a process of its own.
void GuardedContainer::run_role(std::vector<std::string> arguments,
                                std::chrono::milliseconds deadline, OnRun done) {
  oci::Command command;
  command.path = "/proc/self/exe";
  command.argv = {kProgram, arguments.front(), std::to_string(init_), std::to_string(init_start_)};
  command.argv.insert(command.argv.end(), arguments.begin() + 1, arguments.end());
  command.cwd = "/";
  auto hold = std::make_shared<Reaper::Hold>(reaper_.hold());
  oci::run(loop_, std::move(command), {}, deadline,
           [alive = alive_, hold, done = std::move(done)](const Result<oci::RunResult>& run) {
             if (*alive) done(run);
           });
}

void GuardedContainer::enter(Phase phase) {
  if (loading_) return;  // asked for by two supervisors
  const bool flips = phase == Phase::Load && plan_.mode == policies::Mode::Enforce;
  const bool cuts = must_cut(phase);
  const auto cut = std::make_shared<std::vector<std::string>>();
  loading_ = flips || cuts;
  std::vector<Step> steps;
  if (flips) steps.push_back(readonly_step());
  steps.push_back(marks_step(phase));
  steps.push_back(network_step(phase));
  if (flips) steps.push_back(decisions_step(phase));
  // Late, as it cannot be undone; and before the last look, as who waits for a connection is let
  // go.
  if (cuts) steps.push_back(cut_step(phase, cut));
  if (flips) steps.push_back(settled_step());
  perform(std::move(steps), [this, alive = alive_, phase, cut](const Status& status) {
    if (!*alive) return;
    loading_ = false;
    entered(phase, status, std::move(*cut));
  });
}

Step GuardedContainer::readonly_step() {
  auto turned = std::make_shared<std::vector<std::string>>();
  return {"read-only mounts",
          [this, turned](Step::Done done) {
            const auto mounts = mounts_of(init_);
            if (!mounts) return done(fail(Error(mounts.error())));
            for (const MountEntry& mount : *mounts)
              if (!mount.readonly && is_held(mount, plan_.islands, plan_.keep_proc))
                turned->push_back(std::to_string(mount.id));
            turn_readonly(std::move(done));
          },
          [this, turned](Step::Done done) {
            if (turned->empty()) return done({});
            std::vector<std::string> arguments{"transition", "--undo"};
            arguments.insert(arguments.end(), turned->begin(), turned->end());
            run_role(std::move(arguments), kUndoDeadline, [done](const auto& run) {
              done(outcome_of(run, "the helper did not end in time"));
            });
          }};
}

// Everything but the islands; what is so already stays as it is.
void GuardedContainer::turn_readonly(Step::Done done) {
  std::vector<std::string> arguments{"transition"};
  if (plan_.keep_proc) arguments.emplace_back("--keep-proc");
  for (const std::string& name : unix_paths(*plan_.policy)) arguments.push_back(kUnixPath + name);
  arguments.insert(arguments.end(), plan_.islands.begin(), plan_.islands.end());
  run_role(std::move(arguments), kFlipDeadline, [done = std::move(done)](const auto& run) {
    done(outcome_of(run, "the read-only flip did not end in time"));
  });
}

// Which opens a phase is asked about. A model that is opened counts until the server serves.
Status GuardedContainer::mark_for(Phase phase) {
  if (!group_.valid()) return {};
  if (phase != Phase::Init && plan_.asks_opens[static_cast<std::size_t>(phase)])
    return mark_all(group_.raw(), init_);
  const bool models = phase < Phase::Serve;
  return keep_marks(group_.raw(), init_, models ? plan_.model_mounts : std::vector<std::string>(),
                    plan_.islands);
}

Step GuardedContainer::marks_step(Phase phase) {
  return {"marks", [this, phase](const Step::Done& done) { done(mark_for(phase)); },
          [this](const Step::Done& done) { done(mark_for(phase_)); }};
}

// One store for all the kernel's programs; what somebody took away is put back before.
Step GuardedContainer::network_step(Phase phase) {
  return {"network",
          [this, phase](const Step::Done& done) {
            Status kept = keep_network();
            if (kept && network_) network_->enter(phase);
            done(std::move(kept));
          },
          [this](const Step::Done& done) {
            if (network_) network_->enter(phase_);
            done({});
          }};
}

// What is asked from now on is decided by the new boundary. Undone by the word that it failed.
Step GuardedContainer::decisions_step(Phase phase) {
  return {"decisions",
          [this, phase](Step::Done done) {
            link_.ask(
                [&](std::uint64_t ticket) {
                  return hooks::Settle{id(), phase, ticket};
                },
                kSettleDeadline,
                [alive = alive_, done = std::move(done)](const hooks::Message* answer) {
                  if (!*alive) return;
                  done(answer != nullptr
                           ? Status()
                           : fail(Code::Unavailable, "the supervisor did not answer"));
                });
          },
          {}};
}

// Nothing that was let through before is still on its way, and nothing is open that would be a way
// around what is in force.
Step GuardedContainer::settled_step() {
  return {"open before",
          [this](Step::Done done) {
            look_back(kPatience, [this, done = std::move(done)](Result<std::string> told) {
              if (!told) return done(fail(std::move(told.error())));
              const auto judgement = judge(from_lines(*told), plan_.policy->boundary(Phase::Load));
              if (!judgement.danger.empty())
                return done(fail(Code::FailedPrecondition, judgement.danger));
              if (!judgement.told.empty()) notice("warning", "open from before: " + judgement.told);
              done({});
            });
          },
          {}};
}

void GuardedContainer::look_back(std::chrono::milliseconds patience,
                                 std::function<void(Result<std::string>)> done) {
  std::vector<std::string> arguments{"settle", std::to_string(patience.count()),
                                     plan_.gated_calls + ","};
  for (const Kept& kept : kept_)
    if (kept.message.session && kept.message.pid > 0 && arguments.size() < kMaxTold)
      arguments.push_back(std::to_string(kept.message.pid));
  run_role(std::move(arguments), kLookDeadline, [done = std::move(done)](const auto& run) {
    const Status status = outcome_of(run, "what is open could not be told in time");
    if (status)
      done(run->output);
    else
      done(fail(Error(status.error())));
  });
}

// In `audit` nobody waits for this.
void GuardedContainer::tell_carried() {
  look_back(std::chrono::milliseconds(0), [this](const Result<std::string>& told) {
    if (!told) return;
    const auto judgement = judge(from_lines(*told), plan_.policy->boundary(Phase::Load));
    const std::string& danger = judgement.danger;
    const std::string both = danger.empty() || judgement.told.empty() ? "" : "; ";
    if (!danger.empty() || !judgement.told.empty())
      notice("warning", "open from before: " + danger + both + judgement.told);
  });
}

void GuardedContainer::entered(Phase phase, const Status& status, std::vector<std::string> cut) {
  if (status) {
    phase_ = phase;
    phase_since_ = oci::monotonic_ms();
  }
  hooks::Entered message{id(), phase, {}, std::move(cut)};
  if (!status) message.error = status.error().what;
  if (message.error.empty() && !status) message.error = "failed without a reason";
  (void)link_.send(message);
  if (status && phase == Phase::Load && plan_.mode != policies::Mode::Enforce) tell_carried();
  if (std::exchange(mounts_changed_, false)) hold_mounts();
}

void GuardedContainer::notice(std::string severity, std::string message) {
  (void)link_.send(hooks::Notice{id(), std::move(severity), std::move(message)});
}

// ---- mounts that come later

void GuardedContainer::watch_mounts() {
  auto watch = MountWatch::create(loop_, init_,
                                  [this](const MountChanges& changes) { mounts_changed(changes); });
  if (watch)
    mounts_ = std::move(*watch);
  else
    notice("warning", "mounts that come later are not seen: " + watch.error().what);
}

void GuardedContainer::mounts_changed(const MountChanges& changes) {
  constexpr std::size_t kMostTold = 16;  // of one turn; who mounts more is told of by these
  std::size_t told = 0;
  for (const auto* some : {&changes.arrived, &changes.gone})
    for (const MountEntry& mount : *some)
      if (++told <= kMostTold)
        (void)link_.send(
            hooks::Mounted{id(), mount.point, mount.source, mount.fstype, some == &changes.gone});
  if (loading_)
    mounts_changed_ = true;
  else
    hold_mounts();
}

// What is new is held like the rest; below what is gone something may have come to light.
void GuardedContainer::hold_mounts() {
  const auto held = [this, alive = alive_](const Status& flipped) {
    if (!*alive) return;
    const Status status = flipped ? mark_new() : flipped;
    if (status) return;
    notice("critical", "a mount that came later cannot be held: " + status.error().what);
    if (plan_.mode != policies::Mode::Enforce) return;
    log_error("the container is killed: a mount that came later cannot be held",
              {{"id", id()}, {"error", status.error().what}});
    kill_(id());
  };
  const bool flips = plan_.mode == policies::Mode::Enforce && phase_ != Phase::Init;
  if (flips)
    turn_readonly(held);
  else
    held({});
}

// In `init` what lies over a model or below one is as good as a model: its first open begins
// `load`.
Status GuardedContainer::mark_new() {
  if (phase_ != Phase::Init) return mark_for(phase_);
  if (!group_.valid()) return {};
  return mark_points(group_.raw(), init_, plan_.model_mounts, plan_.islands);
}

}  // namespace moat::shim
