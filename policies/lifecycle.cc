// The only place that knows when a phase ends. Every effect is derived anew from what is known
// after each happening, so no order of happenings is special.
#include "policies/lifecycle.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace moat::policies {
namespace {

using std::chrono::milliseconds;

struct Edge {
  Phase from, to;
};

// What a container can go through. `reload` is entered and left by single processes, never by the
// container; `train` waits for a trigger of its own. A server may skip what it does not have.
constexpr std::array kEdges{
    Edge{Phase::Init, Phase::Load},      Edge{Phase::Load, Phase::Warmup},
    Edge{Phase::Load, Phase::Serve},     Edge{Phase::Load, Phase::Train},
    Edge{Phase::Warmup, Phase::Serve},   Edge{Phase::Init, Phase::Shutdown},
    Edge{Phase::Load, Phase::Shutdown},  Edge{Phase::Warmup, Phase::Shutdown},
    Edge{Phase::Serve, Phase::Shutdown}, Edge{Phase::Reload, Phase::Shutdown},
    Edge{Phase::Train, Phase::Shutdown},
};

constexpr bool has_edge(Phase from, Phase to) {
  return std::ranges::any_of(kEdges,
                             [=](const Edge& edge) { return edge.from == from && edge.to == to; });
}

constexpr bool only_forward() {
  return std::ranges::all_of(kEdges, [](const Edge& edge) { return edge.from < edge.to; });
}

constexpr bool always_stoppable() {
  return std::ranges::all_of(kPhases, [](Phase phase) {
    return phase == Phase::Shutdown || has_edge(phase, Phase::Shutdown);
  });
}

static_assert(only_forward(), "a phase is never entered again");
static_assert(always_stoppable());
static_assert(!has_edge(Phase::Init, Phase::Serve),
              "what ends init has the boundary of load first");

// Without a trigger in the policy: long enough for a server's first look at itself.
constexpr milliseconds kSettle{2000};
// A mount that is busy stays busy for a while; asking each second would only fill the log.
constexpr milliseconds kRetry{10000};

}  // namespace

Lifecycle::Lifecycle(const Policy& policy, Instant now) : since_(now), last_activity_(now) {
  for (Phase phase : kPhases) triggers_[static_cast<std::size_t>(phase)] = policy.trigger(phase);
  auto& serve = triggers_[static_cast<std::size_t>(Phase::Serve)];
  if (serve) return;
  serve = Trigger{};
  serve->listen = true;
  serve->settle = kSettle;
}

std::vector<Effect> Lifecycle::step(const Happening& happening, Instant now) {
  take_in(happening, now);
  std::vector<Effect> effects;
  if (pending_) return effects;
  // At once, whatever failed before: the artifact's open waits for the answer.
  if (std::holds_alternative<ModelOpened>(happening) && phase_ == Phase::Init && !stopping_) {
    enter(Phase::Load, effects);
    return effects;
  }
  const auto due = next_due();
  if (!due || due->at > now) {
    arm(due ? std::optional(due->at) : std::nullopt, effects);
    return effects;
  }
  if (due->note != nullptr) effects.push_back(NoteHealth{due->note});
  enter(due->to, effects);
  return effects;
}

void Lifecycle::resume(Phase phase, std::optional<Phase> pending, Instant since, bool listening) {
  phase_ = phase;
  pending_ = pending;
  since_ = since;
  loaded_ = phase != Phase::Init;
  listening_ = listening;
}

void Lifecycle::take_in(const Happening& happening, Instant now) {
  if (std::holds_alternative<TimerFired>(happening)) armed_.reset();
  if (std::holds_alternative<TransitionDone>(happening)) finish(true, now);
  if (std::holds_alternative<TransitionFailed>(happening)) finish(false, now);
  if (std::holds_alternative<ModelOpened>(happening)) {
    loaded_ = true;
    last_activity_ = now;
  }
  if (const auto* listening = std::get_if<Listening>(&happening)) {
    const auto& ports = trigger(Phase::Serve)->listen_ports;
    // An unknown port may be the one: a phase that comes too early is the stricter one.
    if (ports.empty() || listening->port == 0 || std::ranges::count(ports, listening->port) > 0) {
      listening_ = true;
      last_activity_ = now;
    }
  }
  if (const auto* signalled = std::get_if<Signalled>(&happening)) {
    const auto& shutdown = trigger(Phase::Shutdown);
    if (signalled->signal == SIGTERM || (shutdown && shutdown->signal == signalled->signal)) {
      stopping_ = true;
      not_before_ = Instant{0};
    }
  }
}

void Lifecycle::finish(bool done, Instant now) {
  if (!pending_) return;
  const Phase asked = *std::exchange(pending_, std::nullopt);
  if (!done) {
    if (asked == Phase::Shutdown || !stopping_) not_before_ = now + kRetry;
    return;
  }
  phase_ = asked;
  since_ = now;
  not_before_ = Instant{0};
  if (asked != Phase::Load) return;
  // From here on it counts as loaded, with an artifact or (streamed, baked in) without.
  loaded_ = true;
  last_activity_ = now;
}

std::optional<Lifecycle::Due> Lifecycle::next_due() const {
  std::optional<Due> due;
  const auto offer = [&due, this](std::optional<Due> other) {
    if (!other || !has_edge(phase_, other->to)) return;
    other->at = std::max(other->at, not_before_);
    if (!due || other->at < due->at) due = other;
  };
  if (stopping_) {
    offer(Due{Instant{0}, Phase::Shutdown});
    return due;
  }
  offer(listen_to_load());
  offer(timeout_to_load());
  offer(settle_to_serve());
  offer(timeout_to_serve());
  offer(quiet_to_warmup());
  return due;
}

std::optional<Lifecycle::Due> Lifecycle::listen_to_load() const {
  if (!listening_) return std::nullopt;
  return Due{last_activity_ + trigger(Phase::Serve)->settle, Phase::Load,
             "init ended without an artifact: the server listens"};
}

std::optional<Lifecycle::Due> Lifecycle::timeout_to_load() const {
  const auto& load = trigger(Phase::Load);
  const auto timeout = load && load->timeout ? load->timeout : trigger(Phase::Serve)->timeout;
  if (!timeout) return std::nullopt;
  return Due{since_ + *timeout, Phase::Load, "init ended without an artifact: its time is over"};
}

std::optional<Lifecycle::Due> Lifecycle::quiet_to_warmup() const {
  const auto& warmup = trigger(Phase::Warmup);
  if (!warmup || !warmup->quiet) return std::nullopt;
  return Due{last_activity_ + *warmup->quiet, Phase::Warmup};
}

std::optional<Lifecycle::Due> Lifecycle::settle_to_serve() const {
  const auto& serve = *trigger(Phase::Serve);
  const bool must_listen = serve.listen || !serve.quiet;
  if (!loaded_ || (must_listen && !listening_)) return std::nullopt;
  return Due{last_activity_ + std::max(serve.settle, serve.quiet.value_or(milliseconds{0})),
             Phase::Serve};
}

// Also bounds the settling: who opens an artifact each second would otherwise never be served.
std::optional<Lifecycle::Due> Lifecycle::timeout_to_serve() const {
  const auto& timeout = trigger(Phase::Serve)->timeout;
  if (!timeout) return std::nullopt;
  return Due{since_ + *timeout, Phase::Serve, "serve begins by its timeout"};
}

void Lifecycle::enter(Phase to, std::vector<Effect>& effects) {
  arm(std::nullopt, effects);
  pending_ = to;
  effects.push_back(Enter{to});
}

void Lifecycle::arm(std::optional<Instant> at, std::vector<Effect>& effects) {
  if (at == armed_) return;
  armed_ = at;
  if (at)
    effects.push_back(ArmTimer{*at});
  else
    effects.push_back(DisarmTimer{});
}

}  // namespace moat::policies
