// One line of an event file as `moatctl events` needs it: when, whose, and how to show it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moat::shim::ctl {

struct EventLine {
  std::int64_t time = 0;  // nanoseconds since 1970
  std::string raw;        // the line itself
  std::string container_id;
  std::string pod;   // "namespace/pod", empty for a plain container
  std::string name;  // of the container in its pod
  std::string phase, kind, rule, object, process, action;
};

// "2026-08-22T10:00:00.123456Z", UTC only, up to nine decimals.
std::optional<std::int64_t> parse_time(std::string_view text);

// Nothing: the line is not an event of moat.dev/event/v1.
std::optional<EventLine> parse_event_line(std::string_view raw);

struct EventFilter {
  std::string container;  // id, its first 12 characters or more, NAME, or NAMESPACE/POD[/NAME]
  std::string phase, kind;

  [[nodiscard]] bool matches(const EventLine& event) const;
};

// `time  container  phase  kind  rule  object  process(pid)  action`, safe for a terminal.
std::string plain(const EventLine& event);

}  // namespace moat::shim::ctl
