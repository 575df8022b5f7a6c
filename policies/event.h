// Events as values, and the one place that turns them into a line of text (moat.dev/event/v1).
// Everything a workload can influence is escaped and truncated here.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/decide.h"

namespace moat::policies {

enum class EventKind : std::uint8_t {
  Violation,
  WouldDeny,
  Phase,
  Policy,
  Session,
  Behavior,
  Health,
  Drop,
};
std::string_view to_string(EventKind kind);

struct ProcessInfo {
  std::int32_t pid = 0;  // in the container, 0 unknown
  std::int32_t host_pid = 0;
  std::int32_t tid = 0;  // on the host
  std::uint32_t uid = 0;
  std::string exe;
  std::string comm;
  std::string cwd;
  std::int32_t parent_host_pid = 0;
  std::string parent_exe;
  std::vector<std::string> argv;  // claimed, of an exec
};

struct ContainerInfo {
  std::string id;
  std::string kube_namespace, pod, pod_uid, name, image, node;
  std::string runtime_handler;
};

struct PhaseInfo {
  Phase name = Phase::Init;
  std::int64_t since_ms = 0;
  std::optional<Phase> prev;
  std::int64_t prev_duration_ms = 0;
  std::uint32_t generation = 1;
};

struct Event {
  EventKind kind = EventKind::Health;
  std::string severity = "info";  // info | warning | high | critical
  std::string action;             // allowed | denied | killed | audited
  Mode mode = Mode::Audit;
  int err = 0;  // errno the caller got
  PhaseInfo phase;
  std::string rule;
  std::string policy_name, policy_digest, policy_source;
  std::string syscall;
  Object object;
  bool claimed = false;  // the object's name was read from the caller's memory
  std::optional<ProcessInfo> process;
  std::string exec_id;                          // session, empty: the container itself
  std::string message;                          // for people
  std::map<std::string, std::int64_t> numbers;  // counters of health, drop and phase events
  ContainerInfo container;
};

// Time and identity are arguments, so that the same event gives the same line.
struct Stamp {
  std::chrono::sys_time<std::chrono::nanoseconds> time;
  std::uint64_t seq = 0;
};

std::string to_json_line(const Event& event, const Stamp& stamp);  // without the newline

}  // namespace moat::policies
