// Chooses the family that decides, and names the rule. What no family knows is refused.
#include "policies/decide.h"

#include <cerrno>

#include "policies/decide_parts.h"

namespace moat::policies {
namespace {

using detail::hushed;
using detail::verdict;

// Whose boundary it is: a phase's, or that of sessions.
struct Owner {
  std::string_view name;
  const Boundary& boundary;
};

Owner owner_of(const Policy& policy, Phase phase) {
  return {to_string(phase), policy.boundary(phase)};
}

Owner sessions_of(const Policy& policy) {
  static const Boundary kNothing;
  const Boundary* own = policy.session_boundary();
  return {"sessions", own != nullptr ? *own : kNothing};
}

std::string rule_of(std::string_view owner, Action action) {
  return std::string(owner) + "." + std::string(to_string(action));
}

// openat2 is refused in the filter by `enforce`; where it is only watched it is an open like any.
bool is_watched_open(const SyscallRow& row) {
  return row.index_of(Arg::OpenHow).has_value();
}

Decision decide_never(const CallFacts& facts) {
  const std::string name(facts.call->name);
  Decision decision = verdict(false, facts.call->action, {ObjectType::System, name});
  if (facts.claimed_path) decision.object = {ObjectType::File, *facts.claimed_path};
  decision.err = facts.call->never_errno;
  decision.rule = "never." + name;
  return decision;
}

Decision decide_control(const Boundary& boundary, const CallFacts& facts) {
  return verdict(boundary.control, Action::SystemControl,
                 {ObjectType::System, std::string(facts.call->name)});
}

Decision decide_modify(const Boundary& boundary, const CallFacts& facts) {
  const bool path = facts.call->tier == Tier::Path || is_watched_open(*facts.call);
  return path ? detail::decide_path(boundary, facts) : detail::decide_queue(boundary, facts);
}

Decision by_action(const Boundary& boundary, const CallFacts& facts) {
  switch (facts.call->action) {
    case Action::FilesystemModify:
      return decide_modify(boundary, facts);
    case Action::FilesystemExec:
      return facts.call->index_of(Arg::Protection) ? detail::decide_fresh_code(boundary, facts)
                                                   : detail::decide_memory_file(boundary, facts);
    case Action::NetworkAccess:
      return detail::decide_network(boundary, facts);
    case Action::ProcessCreate:
      return detail::decide_create(boundary, facts);
    case Action::ProcessExec:
      return detail::decide_exec(boundary, facts);
    case Action::ProcessCross:
      return detail::decide_cross(boundary, facts);
    case Action::SystemControl:
      return decide_control(boundary, facts);
    case Action::FilesystemRead:
    case Action::DeviceAccess:
    case Action::ProcessThread:
    case Action::ProcessContext:
    case Action::SystemInfo:
      break;  // no row of the table asks for these
  }
  return verdict(false, facts.call->action, {ObjectType::System, std::string(facts.call->name)});
}

// A kernel opens a program's dynamic loader as it opens the program: with an exec event. It is a
// library then; by itself it would run any readable file, under whatever name it was asked for.
bool is_loader(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("ld-") && name.find(".so") != std::string_view::npos;
}

Decision decide_program(const Boundary& boundary, const OpenFacts& facts) {
  const bool loads =
      facts.interpreter && is_loader(facts.path) && boundary.exec_files.contains(facts.path);
  Decision decision = verdict(loads || boundary.programs.contains(facts.path), Action::ProcessExec,
                              {ObjectType::Exec, facts.path});
  return hushed(std::move(decision), boundary.quiet_programs.contains(facts.path), ENOENT);
}

Decision decide_read(const Boundary& boundary, const OpenFacts& facts) {
  // The event does not say what for: an island's file is opened to be written, a program's also to
  // be mapped. Each set brings the right to look inside.
  const bool known = boundary.read.contains(facts.path) || boundary.modify.contains(facts.path) ||
                     boundary.exec_files.contains(facts.path) ||
                     boundary.programs.contains(facts.path) ||
                     boundary.devices.contains(facts.path);
  Decision decision = verdict(known, Action::FilesystemRead, {ObjectType::File, facts.path});
  return hushed(std::move(decision), boundary.quiet_read.contains(facts.path), EACCES);
}

Decision decide_call(const Owner& owner, const CallFacts& facts);
Decision decide_open(const Owner& owner, const OpenFacts& facts);

bool tells_apart(const Boundary& boundary) {
  return !detail::covers_everything(boundary.read) || !detail::covers_everything(boundary.programs);
}

}  // namespace

namespace detail {

Decision decide_exec(const Boundary& boundary, const CallFacts& facts) {
  Object object{ObjectType::Exec, facts.claimed_path.value_or("")};
  Decision decision = verdict(!boundary.programs.empty(), Action::ProcessExec, object);
  if (covers_everything(boundary.programs)) return decision;
  // `ld.so PROGRAM` would run any readable file as a program.
  if (is_loader(object.name) && !boundary.programs.contains(object.name)) decision.allowed = false;
  if (facts.unreadable) {
    decision.allowed = false;
    decision.err = EFAULT;
  }
  return hushed(std::move(decision), boundary.quiet_programs.contains(object.name), ENOENT);
}

}  // namespace detail

namespace {

Decision decide_call(const Owner& owner, const CallFacts& facts) {
  if (facts.call == nullptr) {
    Decision decision;
    decision.object = {ObjectType::System, "unknown call"};
    decision.rule = "never.unknown";
    return decision;
  }
  const bool watched = is_watched_open(*facts.call);
  if (facts.call->barred->holds(facts.args) && !watched) return decide_never(facts);
  Decision decision = watched || facts.call->interest->holds(facts.args)
                          ? by_action(owner.boundary, facts)
                          : detail::yes(facts.call->action, {});
  decision.rule = rule_of(owner.name, decision.action);
  return decision;
}

Decision decide_open(const Owner& owner, const OpenFacts& facts) {
  Decision decision =
      facts.exec ? decide_program(owner.boundary, facts) : decide_read(owner.boundary, facts);
  decision.rule = rule_of(owner.name, decision.action);
  return decision;
}

}  // namespace

Decision decide(const Policy& policy, Phase phase, const CallFacts& facts) {
  return decide_call(owner_of(policy, phase), facts);
}

Decision decide(const Policy& policy, Phase phase, const OpenFacts& facts) {
  return decide_open(owner_of(policy, phase), facts);
}

Decision decide_session(const Policy& policy, const CallFacts& facts) {
  return decide_call(sessions_of(policy), facts);
}

Decision decide_session(const Policy& policy, const OpenFacts& facts) {
  return decide_open(sessions_of(policy), facts);
}

bool tells_opens_apart(const Policy& policy, Phase phase) {
  const Boundary* sessions = policy.session_boundary();
  return tells_apart(policy.boundary(phase)) || (sessions != nullptr && tells_apart(*sessions));
}

Decision refused_address(const Policy& policy, Phase phase, std::string address) {
  Decision decision =
      detail::refuse_address(policy.boundary(phase).network, std::move(address), EPERM);
  decision.err = EPERM;  // the one thing a program can say, before Linux 5.18
  decision.rule = rule_of(to_string(phase), decision.action);
  return decision;
}

Decision refused_device(Phase phase, std::string path) {
  Decision decision = verdict(false, Action::DeviceAccess, {ObjectType::Device, std::move(path)});
  decision.err = EPERM;
  decision.rule = rule_of(to_string(phase), decision.action);
  return decision;
}

}  // namespace moat::policies
