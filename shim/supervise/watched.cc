#include "shim/supervise/watched.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>

#include "oci/sys.h"

namespace moat::shim {

using policies::Phase;

Result<std::unique_ptr<Watched>> Watched::create(SupervisorParts& parts, hooks::Adopt adopt,
                                                 UniqueFd events) {
  auto document = policies::parse_document(adopt.policy_json, "policy of " + adopt.container.id);
  if (!document) return fail(std::move(document.error()));
  auto policy = policies::Policy::bind(*document, adopt.bindings);
  if (!policy) return fail(std::move(policy.error()));
  std::unique_ptr<Watched> self(
      new Watched(parts, std::move(adopt), std::move(*policy), std::move(events)));
  self->step(policies::TimerFired{});  // arms the bound of `init`
  return self;
}

Watched::Watched(SupervisorParts& parts, hooks::Adopt adopt, policies::Policy policy,
                 UniqueFd events)
    : parts_(parts),
      adopted_(std::move(adopt)),
      policy_(std::move(policy)),
      lifecycle_(policy_, policies::Instant(oci::monotonic_ms())),
      log_(std::move(events), adopted_.resumed),
      tally_(parts.journal.tally(adopted_.number)) {
  if (tally_ == nullptr) tally_ = &own_tally_;
  for (const std::string& model : policy_.models()) model_paths_.add(model + "/**");
  if (adopted_.resumed) {
    resume();
    return;
  }
  policies::Event event = blank(policies::EventKind::Policy);
  event.message = "supervised with policy " + policy_.name();
  emit(event);
}

// In the phase whose boundary is in force, which the shim knows: it carried out the transition.
void Watched::resume() {
  const auto pending = adopted_.loading ? std::optional(Phase::Load) : std::nullopt;
  lifecycle_.resume(adopted_.phase, pending, policies::Instant(adopted_.since_ms),
                    tally_->listening);
  policies::Event event = blank(policies::EventKind::Health);
  event.severity = "critical";
  event.message = "the supervisor was lost and has been started again; what it had not answered " +
                  std::string(adopted_.mode == policies::Mode::Enforce ? "was refused" : "went on");
  event.numbers["unanswered"] = static_cast<std::int64_t>(adopted_.unanswered);
  emit(event);
  if (pending) expect(*pending);
}

void Watched::expect(Phase phase) {
  parts_.loop.cancel(transition_timer_);
  transition_timer_ = parts_.loop.after(kTransitionDeadline, [this, phase] {
    transition_failed(phase, "the shim did not answer in time");
  });
}

Watched::~Watched() {
  *alive_ = false;
  for (Ear& ear : ears_) parts_.loop.forget(ear.listener->fd());
  if (group_) parts_.loop.forget(group_->fd());
  if (records_) parts_.loop.forget(records_->fd());
  tell_lost();
  tell_unreadable();
  parts_.loop.cancel(timer_);
  parts_.loop.cancel(transition_timer_);
  tally_->container = 0;
}

Status Watched::listen(const hooks::Listen& message, UniqueFd listener) {
  Ear ear;
  ear.listener = std::make_shared<Listener>(std::move(listener), message.number);
  ear.session = message.session;
  ear.exec_id = message.exec_id;
  ear.pid = message.pid;
  ear.start_time = message.start_time;
  ear.runtime_exe = message.runtime_exe;
  const auto at = ears_.insert(ears_.end(), std::move(ear));
  return parts_.loop.watch(at->listener->fd(), EPOLLIN,
                           [this, at](std::uint32_t events) { on_listener(at, events); });
}

Status Watched::watch(const hooks::Watch& message, UniqueFd group, Ending ending) {
  init_ = message.init;
  membership_ = Membership(cgroups_of(init_), cgroups_of(::getpid()));
  root_ = root_of(init_);
  ending_ = std::move(ending);
  if (!group.valid()) return {};
  group_ = std::make_unique<ObjectGroup>(std::move(group), message.number);
  return parts_.loop.watch(group_->fd(), EPOLLIN, [this](std::uint32_t) { on_opens(); });
}

void Watched::session_started(const hooks::SessionStarted& message) {
  for (Ear& ear : ears_)
    if (ear.session && ear.pid == message.pid) ear.exec_id = message.exec_id;
}

void Watched::step(const policies::Happening& happening) {
  for (const policies::Effect& effect :
       lifecycle_.step(happening, policies::Instant(oci::monotonic_ms())))
    apply(effect);
  tally_->listening = lifecycle_.listening();
}

void Watched::apply(const policies::Effect& effect) {
  if (const auto* enter = std::get_if<policies::Enter>(&effect)) {
    expect(enter->to);
    parts_.tell_shim(hooks::Enter{adopted_.container.id, enter->to});
  } else if (const auto* arm = std::get_if<policies::ArmTimer>(&effect)) {
    parts_.loop.cancel(timer_);
    const auto delay = arm->at - policies::Instant(oci::monotonic_ms());
    timer_ = parts_.loop.after(std::max(delay, policies::Instant(0)),
                               [this] { step(policies::TimerFired{}); });
  } else if (std::holds_alternative<policies::DisarmTimer>(effect)) {
    parts_.loop.cancel(timer_);
  } else if (const auto* note = std::get_if<policies::NoteHealth>(&effect)) {
    health("warning", note->what);
  }
}

// What waits for the end of `init` though it is no model, as an exec would, is decided now: who is
// in the middle of a call is being waited for.
void Watched::settle(Phase phase) {
  if (lifecycle_.pending() != phase) return;
  deciding_ = phase;
  auto held = std::exchange(held_, {});
  for (auto& [event, waiting] : held) {
    const bool began_it = &event == &held.front().first && !event.exec;  // whatever its name says
    if (began_it || is_model(event.path))
      held_.emplace_back(event, std::move(waiting));
    else
      conclude(event, std::move(waiting), asker_of(nullptr));
  }
}

void Watched::entered(const hooks::Entered& message) {
  parts_.loop.cancel(transition_timer_);
  if (!lifecycle_.pending()) return;  // given up already
  deciding_.reset();
  tell_cut(message.cut);
  if (!message.error.empty()) {
    transition_failed(message.phase, message.error);
    return;
  }
  const policies::Instant now(oci::monotonic_ms());
  policies::Event event = blank(policies::EventKind::Phase);
  event.phase.prev = lifecycle_.phase();
  event.phase.prev_duration_ms = (now - lifecycle_.since()).count();
  event.numbers["notifications"] = static_cast<std::int64_t>(tally_->phase_notifications);
  event.numbers["open_events"] = static_cast<std::int64_t>(tally_->phase_opens);
  event.numbers["quiet_refusals"] = static_cast<std::int64_t>(tally_->quiet);
  event.numbers["strangers"] = static_cast<std::int64_t>(tally_->strangers);
  tally_->phase_notifications = tally_->phase_opens = tally_->quiet = tally_->strangers = 0;
  step(policies::TransitionDone{});
  event.phase.name = lifecycle_.phase();
  event.phase.since_ms = 0;
  event.message = "entered " + std::string(to_string(lifecycle_.phase()));
  emit(event);
  if (event.phase.prev == Phase::Init) tell_connections();
  for (const auto& ready : std::exchange(on_entered_, {})) ready();
  release_held(true);
}

void Watched::transition_failed(Phase phase, const std::string& why) {
  deciding_.reset();
  health("critical", "transition to " + std::string(to_string(phase)) + " failed: " + why);
  step(policies::TransitionFailed{});
  for (const auto& ready : std::exchange(on_entered_, {})) ready();
  release_held(adopted_.mode != policies::Mode::Enforce);
}

void Watched::signalling(int signal, std::function<void()> ready) {
  step(policies::Signalled{signal});
  if (lifecycle_.pending())
    on_entered_.push_back(std::move(ready));
  else
    ready();
}

void Watched::kill_all() {
  ending_.now();
  if (init_ != 0) return;
  for (const Ear& ear : ears_) {  // not yet created: the runtime's init, and what waits for it
    const auto pidfd = oci::pidfd_open(ear.pid);
    if (pidfd && oci::start_time_of(ear.pid) == ear.start_time)
      (void)oci::pidfd_signal(pidfd->raw(), SIGKILL);
  }
}

hooks::ContainerStatus Watched::status() const {
  hooks::ContainerStatus status;
  status.violations = tally_->violations;
  status.would_denies = tally_->would_denies;
  status.notifications = tally_->notifications;
  status.open_events = tally_->open_events;
  status.id = adopted_.container.id;
  status.mode = adopted_.mode;
  status.profile = policy_.name();
  status.phase = lifecycle_.phase();
  status.phase_since_ms = (policies::Instant(oci::monotonic_ms()) - lifecycle_.since()).count();
  return status;
}

}  // namespace moat::shim
