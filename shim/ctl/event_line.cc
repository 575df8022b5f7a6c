#include "shim/ctl/event_line.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "policies/event_stamp.h"
#include "shim/ctl/table.h"

namespace moat::shim::ctl {

namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "moat.dev/event/v1";
constexpr std::size_t kShortId = 12;  // what other tools print of a 64-digit id

// A text, or a number as text; empty when the path does not lead to one.
std::string at(const json& event, std::initializer_list<const char*> path) {
  const json* here = &event;
  for (const char* key : path) {
    if (!here->is_object()) return {};
    const auto found = here->find(key);
    if (found == here->end()) return {};
    here = &*found;
  }
  if (here->is_string()) return here->get<std::string>();
  return here->is_number_integer() ? here->dump() : std::string();
}

std::string first_of(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts)
    if (!text.empty()) return text;
  return {};
}

bool is_claimed(const json& object) {
  const auto claimed = object.find("claimed");
  return claimed != object.end() && *claimed == true;
}

std::string object_of(const json& event) {
  std::string text = first_of({at(event, {"object", "path"}), at(event, {"object", "address"}),
                               at(event, {"object", "name"})});
  if (!text.empty() && is_claimed(event["object"])) text += " (claimed)";
  // What is not about an object says in words what it is about.
  if (text.empty()) text = at(event, {"message"});
  if (text.empty() && !at(event, {"phase", "prev"}).empty())
    text = "after " + at(event, {"phase", "prev"});
  return text;
}

std::string process_of(const json& event) {
  const std::string name =
      first_of({at(event, {"process", "comm"}), at(event, {"process", "exe"})});
  const std::string pid =
      first_of({at(event, {"process", "host_pid"}), at(event, {"process", "pid"})});
  return pid.empty() ? name : name + "(" + pid + ")";
}

// A number of `count` digits at `from`, which is moved behind them.
std::optional<int> digits(std::string_view text, std::size_t& from, std::size_t count) {
  int value = 0;
  if (from + count > text.size()) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i, ++from) {
    if (text[from] < '0' || text[from] > '9') return std::nullopt;
    value = value * 10 + (text[from] - '0');
  }
  return value;
}

// "2026-08-22T10:00:00": numbers of known width, each followed by its mark.
std::optional<std::array<int, 6>> date_and_clock(std::string_view text) {
  constexpr std::array<std::size_t, 6> kWidths{4, 2, 2, 2, 2, 2};
  constexpr std::string_view kMarks = "--T::";
  std::array<int, 6> values{};
  std::size_t from = 0;
  for (std::size_t i = 0; i < kWidths.size(); ++i) {
    const auto value = digits(text, from, kWidths[i]);
    if (!value) return std::nullopt;
    values[i] = *value;
    if (i < kMarks.size() && (from >= text.size() || text[from++] != kMarks[i]))
      return std::nullopt;
  }
  return values;
}

// ".123456": nanoseconds.
std::optional<int> fraction(std::string_view text) {
  if (text.empty()) return 0;
  if (text.size() < 2 || text.size() > 10 || text[0] != '.') return std::nullopt;
  std::string padded_text(text.substr(1));
  padded_text.resize(9, '0');
  std::size_t from = 0;
  return digits(padded_text, from, 9);
}

}  // namespace

std::optional<std::int64_t> parse_time(std::string_view text) {
  using namespace std::chrono;
  constexpr std::size_t kSeconds = 19;  // characters of "2026-08-22T10:00:00"
  if (text.size() <= kSeconds || !text.ends_with('Z')) return std::nullopt;
  const auto part = date_and_clock(text.substr(0, kSeconds));
  const auto nano = fraction(text.substr(kSeconds, text.size() - kSeconds - 1));
  if (!part || !nano) return std::nullopt;
  const auto [y, mo, d, h, mi, s] = *part;
  const year_month_day date{year(y), month(static_cast<unsigned>(mo)),
                            day(static_cast<unsigned>(d))};
  // Nanoseconds in 64 bits end in 2262; a leap second counts as the second after it.
  if (!date.ok() || y < 1970 || y > 2261 || h > 23 || mi > 59 || s > 60) return std::nullopt;
  const auto time = sys_days(date).time_since_epoch() + hours(h) + minutes(mi) + seconds(s);
  return duration_cast<nanoseconds>(time).count() + *nano;
}

std::optional<EventLine> parse_event_line(std::string_view raw) {
  const json event = json::parse(raw, nullptr, false);
  if (!event.is_object() || at(event, {"schema"}) != kSchema) return std::nullopt;
  const auto time = parse_time(at(event, {"time"}));
  EventLine line;
  line.kind = at(event, {"kind"});
  if (!time || line.kind.empty()) return std::nullopt;
  line.time = *time;
  line.raw = raw;
  line.container_id = at(event, {"container", "id"});
  if (const std::string pod = at(event, {"k8s", "pod"}); !pod.empty())
    line.pod = at(event, {"k8s", "namespace"}) + "/" + pod;
  line.name = at(event, {"k8s", "container"});
  line.phase = at(event, {"phase", "name"});
  line.rule = at(event, {"rule", "id"});
  line.object = object_of(event);
  line.process = process_of(event);
  line.action = at(event, {"action"});
  return line;
}

bool EventFilter::matches(const EventLine& event) const {
  if (!phase.empty() && event.phase != phase) return false;
  if (!kind.empty() && event.kind != kind) return false;
  if (container.empty() || container == event.container_id) return true;
  if (container.size() >= kShortId && event.container_id.starts_with(container)) return true;
  if (event.pod.empty()) return false;
  return container == event.name || container == event.pod ||
         container == event.pod + "/" + event.name;
}

std::string plain(const EventLine& event) {
  const policies::Stamp stamp{
      std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(event.time))};
  const std::string container =
      event.pod.empty() ? event.container_id : event.pod + "/" + event.name;
  constexpr std::size_t kMilliseconds = 23;  // characters of "2026-08-22T10:00:00.123"
  return fmt::format(
      "{}Z  {}  {}  {}  {}  {}  {}  {}\n", policies::event_time(stamp).substr(0, kMilliseconds),
      padded(cell(container), 16), padded(cell(event.phase), 8), padded(cell(event.kind), 10),
      padded(cell(event.rule), 22), padded(cell(event.object), 28), padded(cell(event.process), 16),
      cell(event.action));
}

}  // namespace moat::shim::ctl
