// Ties a composed document to one container: `~` and sets become paths, lists become boundaries.
#include <fmt/format.h>

#include "policies/objects.h"
#include "policies/places.h"
#include "policies/sets.h"

namespace moat::policies {
namespace {

Status add_object(const Places& places, Action action, const std::string& object, PathSet& into) {
  if (auto ok = check_object(action, object, false); !ok) return ok;
  if (!object.starts_with('@')) {
    into.add(places.absolute(object));
    return {};
  }
  for (std::string_view line : find_set(object)->content) places.add_line(line, into);
  return {};
}

constexpr std::string_view kUnixPrefix = "unix:";

// Where a workload can write, or can make a name mean something else.
Status check_place(const Places& places, const UnixRule& rule) {
  if (auto ok = check_unix_place(rule, "/proc"); !ok) return ok;
  for (const auto* changeable : {&places.scratch(), &places.models()})
    for (const std::string& place : *changeable)
      if (auto ok = check_unix_place(rule, place); !ok) return ok;
  return {};
}

Status add_address(const Places& places, const std::string& object, NetworkRules& into) {
  into.addresses.push_back(object);
  if (const auto rule = address_rule(object)) into.reachable.push_back(*rule);
  if (!object.starts_with(kUnixPrefix)) return {};
  const std::string_view name = std::string_view(object).substr(kUnixPrefix.size());
  const auto rule = unix_rule(name.starts_with('@') ? std::string(name) : places.absolute(name));
  if (!rule) return {};
  if (auto ok = check_place(places, *rule); !ok) return ok;
  into.unix_names.push_back(*rule);
  return {};
}

Status add_network(const Places& places, const ActionRule& rule, NetworkRules& into) {
  for (const std::string& object : rule.objects) {
    if (auto ok = check_object(Action::NetworkAccess, object, false); !ok) return ok;
    if (object == "*")
      into.any = true;
    else if (object == "@listen")
      into.listen = true;
    else if (object == kAnyUnix)
      into.any_unix = true;
    else if (auto ok = add_address(places, object, into); !ok)
      return ok;
  }
  for (const std::string& object : rule.quiet) {
    if (auto ok = check_object(Action::NetworkAccess, object, true); !ok) return ok;
    if (object == "@resolver")
      into.quiet_resolver = true;
    else if (object.starts_with("unix:/"))
      into.quiet_unix.add(places.absolute(std::string_view(object).substr(kUnixPrefix.size())));
  }
  return {};
}

struct PathLists {
  PathSet* allow = nullptr;
  PathSet* quiet = nullptr;
};

PathLists lists_of(Boundary& boundary, Action action) {
  switch (action) {
    case Action::FilesystemRead:
      return {&boundary.read, &boundary.quiet_read};
    case Action::FilesystemModify:
      return {&boundary.modify, &boundary.quiet_modify};
    case Action::FilesystemExec:
      return {&boundary.exec_files, nullptr};
    case Action::DeviceAccess:
      return {&boundary.devices, nullptr};
    case Action::ProcessExec:
      return {&boundary.programs, &boundary.quiet_programs};
    case Action::NetworkAccess:
    case Action::ProcessCreate:
    case Action::ProcessThread:
    case Action::ProcessCross:
    case Action::ProcessContext:
    case Action::SystemInfo:
    case Action::SystemControl:
      return {};
  }
  return {};
}

void set_switch(Boundary& boundary, Action action, bool allowed) {
  switch (action) {
    case Action::ProcessCreate:
      boundary.create = allowed;
      return;
    case Action::ProcessThread:
      boundary.thread = allowed;
      return;
    case Action::ProcessCross:
      boundary.cross = allowed;
      return;
    case Action::ProcessContext:
      boundary.context = allowed;
      return;
    case Action::SystemInfo:
      boundary.info = allowed;
      return;
    case Action::SystemControl:
      boundary.control = allowed;
      return;
    case Action::FilesystemRead:
    case Action::FilesystemModify:
    case Action::FilesystemExec:
    case Action::DeviceAccess:
    case Action::NetworkAccess:
    case Action::ProcessExec:
      return;
  }
}

Status bind_rule(const Places& places, Action action, const ActionRule& rule, Boundary& into) {
  if (!takes_objects(action)) {
    set_switch(into, action, rule.allowed);
    return {};
  }
  if (action == Action::NetworkAccess) return add_network(places, rule, into.network);
  const PathLists lists = lists_of(into, action);
  for (const std::string& object : rule.objects)
    if (auto ok = add_object(places, action, object, *lists.allow); !ok) return ok;
  if (lists.quiet == nullptr) return {};
  for (const std::string& object : rule.quiet)
    if (auto ok = add_object(places, action, object, *lists.quiet); !ok) return ok;
  return {};
}

Result<Boundary> bind_phase(const Places& places, const PhaseRules& rules) {
  Boundary boundary;
  boundary.stated = true;
  for (Action action : kActions) {
    const auto& rule = rules.of(action);
    if (!rule) continue;
    if (auto ok = bind_rule(places, action, *rule, boundary); !ok)
      return fail(std::move(ok.error()).in(to_string(action)));
  }
  return boundary;
}

// A phase that can be entered but says nothing would refuse everything, threads included.
Status check_phases(const Document& document) {
  for (Phase phase : kPhases) {
    const auto i = static_cast<std::size_t>(phase);
    if (document.phases[i] || (phase != Phase::Init && !document.transitions[i])) continue;
    return fail(Code::InvalidArgument,
                fmt::format("phase '{}' can be entered but has no rules: state spec.phases.{} or "
                            "extend a profile that does",
                            to_string(phase), to_string(phase)));
  }
  return {};
}

}  // namespace

Result<Policy> Policy::bind(const Document& composed, const Bindings& bindings) {
  const std::string where = fmt::format("policy '{}'", composed.name);
  if (auto ok = check_phases(composed); !ok) return fail(std::move(ok.error()).in(where));
  const auto places = Places::of(composed, bindings);
  if (!places) return fail(Error(places.error()).in(where));
  Policy policy;
  for (Phase phase : kPhases) {
    const auto i = static_cast<std::size_t>(phase);
    if (!composed.phases[i]) continue;
    auto boundary = bind_phase(*places, *composed.phases[i]);
    if (!boundary) return fail(std::move(boundary.error()).in(to_string(phase)).in(where));
    policy.boundaries_[i] = std::move(*boundary);
  }
  if (composed.session_rules) {
    auto boundary = bind_phase(*places, *composed.session_rules);
    if (!boundary) return fail(std::move(boundary.error()).in("sessions").in(where));
    policy.session_boundary_ = std::move(*boundary);
  }
  policy.name_ = composed.name;
  policy.mode_ = composed.mode.value_or(Mode::Audit);
  policy.reaction_ = composed.on_violation.value_or(Reaction{});
  policy.sessions_ = composed.sessions.value_or(Sessions::Allow);
  policy.models_ = places->models();
  policy.scratch_ = places->scratch();
  policy.transitions_ = composed.transitions;
  return policy;
}

}  // namespace moat::policies
