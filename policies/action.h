// The classes of host interaction a boundary speaks about (the paper's Figure 6).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moat::policies {

enum class Action : std::uint8_t {
  FilesystemRead,
  FilesystemModify,
  FilesystemExec,
  DeviceAccess,
  NetworkAccess,
  ProcessCreate,
  ProcessThread,
  ProcessExec,
  ProcessCross,
  ProcessContext,
  SystemInfo,
  SystemControl,
};

inline constexpr std::array kActions{
    Action::FilesystemRead, Action::FilesystemModify, Action::FilesystemExec, Action::DeviceAccess,
    Action::NetworkAccess,  Action::ProcessCreate,    Action::ProcessThread,  Action::ProcessExec,
    Action::ProcessCross,   Action::ProcessContext,   Action::SystemInfo,     Action::SystemControl,
};

// "filesystem.read": the group is the mapping's key in a policy document, the rest its member.
constexpr std::string_view to_string(Action action) {
  switch (action) {
    case Action::FilesystemRead:
      return "filesystem.read";
    case Action::FilesystemModify:
      return "filesystem.modify";
    case Action::FilesystemExec:
      return "filesystem.exec";
    case Action::DeviceAccess:
      return "device.access";
    case Action::NetworkAccess:
      return "network.access";
    case Action::ProcessCreate:
      return "process.create";
    case Action::ProcessThread:
      return "process.thread";
    case Action::ProcessExec:
      return "process.exec";
    case Action::ProcessCross:
      return "process.cross";
    case Action::ProcessContext:
      return "process.context";
    case Action::SystemInfo:
      return "system.info";
    case Action::SystemControl:
      return "system.control";
  }
  return "?";
}

constexpr std::optional<Action> action_from(std::string_view name) {
  for (Action action : kActions)
    if (to_string(action) == name) return action;
  return std::nullopt;
}

}  // namespace moat::policies
