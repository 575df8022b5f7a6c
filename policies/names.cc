// The words for the values of a policy and of an event: each enum has its one list here.
#include "policies/document.h"
#include "policies/event.h"

namespace moat::policies {

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::Off:
      return "off";
    case Mode::Audit:
      return "audit";
    case Mode::Learn:
      return "learn";
    case Mode::Enforce:
      return "enforce";
  }
  return "?";
}

std::optional<Mode> mode_from(std::string_view name) {
  for (Mode mode : {Mode::Off, Mode::Audit, Mode::Learn, Mode::Enforce})
    if (to_string(mode) == name) return mode;
  return std::nullopt;
}

std::string_view to_string(Sessions sessions) {
  switch (sessions) {
    case Sessions::Allow:
      return "allow";
    case Sessions::Audit:
      return "audit";
    case Sessions::Deny:
      return "deny";
  }
  return "?";
}

std::optional<Sessions> sessions_from(std::string_view name) {
  for (Sessions sessions : {Sessions::Allow, Sessions::Audit, Sessions::Deny})
    if (to_string(sessions) == name) return sessions;
  return std::nullopt;
}

std::string_view to_string(ObjectType type) {
  switch (type) {
    case ObjectType::None:
      return "none";
    case ObjectType::File:
      return "file";
    case ObjectType::Device:
      return "device";
    case ObjectType::Exec:
      return "exec";
    case ObjectType::Socket:
      return "socket";
    case ObjectType::Address:
      return "address";
    case ObjectType::Process:
      return "process";
    case ObjectType::System:
      return "system";
  }
  return "?";
}

std::string_view to_string(EventKind kind) {
  switch (kind) {
    case EventKind::Violation:
      return "violation";
    case EventKind::WouldDeny:
      return "would_deny";
    case EventKind::Phase:
      return "phase";
    case EventKind::Policy:
      return "policy";
    case EventKind::Session:
      return "session";
    case EventKind::Behavior:
      return "behavior";
    case EventKind::Health:
      return "health";
    case EventKind::Drop:
      return "drop";
  }
  return "?";
}

}  // namespace moat::policies
