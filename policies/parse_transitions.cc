// `spec.transitions`: what starts each phase. Combinations that can never come true are errors.
#include <csignal>

#include "policies/numbers.h"
#include "policies/parse.h"
#include "policies/text.h"

namespace moat::policies {
namespace {

constexpr std::size_t kMaxPorts = 64;

Status read_open(const Field& field, Trigger& into) {
  const auto text = field.text();
  if (!text) return fail(text.error());
  constexpr std::array<std::string_view, 1> kWords{"models"};
  if (*text != kWords[0]) return field.wrong(not_one_of(*text, kWords));
  into.open_models = true;
  return {};
}

Status read_listen(const Field& field, Trigger& into) {
  into.listen = true;
  if (field.is(Node::Kind::List)) {
    if (field.node().items.empty()) return field.wrong("no port; 'true' means any");
    if (field.node().items.size() > kMaxPorts)
      return field.wrong(fmt::format("{} ports; at most {}", field.node().items.size(), kMaxPorts));
    for (std::size_t i = 0; i < field.node().items.size(); ++i) {
      const auto port = field.item(i).port();
      if (!port) return fail(port.error());
      into.listen_ports.push_back(*port);
    }
    return {};
  }
  const auto flag = field.flag();
  if (flag && *flag) return {};
  return field.wrong("expected a list of ports, or true for any");
}

Status read_signal(const Field& field, Trigger& into) {
  const auto text = field.text();
  if (!text) return fail(text.error());
  into.signal = signal_from(*text);
  constexpr std::array<std::string_view, 6> kUsual{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2"};
  if (!into.signal)
    return field.wrong(
        fmt::format("'{}' is not a signal{}", printable(*text), suggest(*text, kUsual)));
  if (*into.signal == SIGKILL || *into.signal == SIGSTOP)
    return field.wrong(fmt::format("{} leaves no time for another phase", *text));
  return {};
}

template <auto Member>
Status read_duration(const Field& field, Trigger& into) {
  const auto duration = field.duration();
  if (!duration) return fail(duration.error());
  into.*Member = *duration;
  return {};
}

constexpr std::array kOn{
    Key<Trigger>{"open", read_open},
    Key<Trigger>{"listen", read_listen},
    Key<Trigger>{"quiet", read_duration<&Trigger::quiet>},
    Key<Trigger>{"signal", read_signal},
};

Status read_on(const Field& field, Trigger& into) {
  if (auto ok = read_keys(field, kOn, into); !ok) return ok;
  if (field.node().items.empty()) return field.wrong("says nothing: open, listen, quiet or signal");
  return {};
}

constexpr std::array kTransition{
    Key<Trigger>{"on", read_on},
    Key<Trigger>{"settle", read_duration<&Trigger::settle>},
    Key<Trigger>{"timeout", read_duration<&Trigger::timeout>},
    Key<Trigger>{"window", read_duration<&Trigger::window>},
};

// Why the trigger can never start the phase, or means nothing there; empty: it can.
std::string_view impossible(Phase phase, const Trigger& trigger) {
  if (trigger.signal && (trigger.open_models || trigger.listen || trigger.quiet))
    return "a signal cannot be combined with another trigger";
  if (trigger.signal && trigger.settle.count() > 0) return "'settle' does not go with a signal";
  if (trigger.window && phase != Phase::Reload) return "'window' belongs to reload";
  switch (phase) {
    case Phase::Init:
      return "a container starts in init; nothing leads there";
    case Phase::Load:
      return trigger.quiet ? "init has no end that quiet could follow; use open or listen" : "";
    case Phase::Warmup:
    case Phase::Serve:
      return trigger.signal ? "a signal cannot start it; use listen, open or quiet" : "";
    case Phase::Reload:
      return trigger.listen || trigger.quiet ? "only open or a signal can start it" : "";
    case Phase::Train:
      return "";
    case Phase::Shutdown:
      return trigger.signal ? "" : "only a signal can start it";
  }
  return "";
}

}  // namespace

Status read_transitions(const Field& field, Document& into) {
  if (auto ok = field.need(Node::Kind::Map, "a mapping of phases"); !ok) return ok;
  for (const Node& child : field.node().items) {
    const auto phase = read_phase(field, child);
    if (!phase) return fail(phase.error());
    const Field member = field.member(child);
    Trigger trigger;
    if (auto ok = read_keys(member, kTransition, trigger); !ok) return ok;
    if (member.find("on") == nullptr) return member.wrong("'on' is missing");
    if (const auto why = impossible(*phase, trigger); !why.empty()) return member.wrong(why);
    into.transitions[static_cast<std::size_t>(*phase)] = std::move(trigger);
  }
  return {};
}

}  // namespace moat::policies
