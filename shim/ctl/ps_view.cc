#include "shim/ctl/ps_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "shim/ctl/table.h"

namespace moat::shim::ctl {

std::string readable_age(std::int64_t ms) {
  if (ms < 0) return "-";
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
  if (m == 0) return fmt::format("{}s", s);
  if (h == 0) return fmt::format("{}m{:02}s", m, s % 60);
  if (d == 0) return fmt::format("{}h{:02}m", h, m % 60);
  return fmt::format("{}d{:02}h", d, h % 24);
}

void sort_containers(Containers& containers) {
  std::ranges::sort(containers, {}, [](const moat::control::v1::Container& c) {
    return std::tuple<std::string, std::string>(c.namespace_(), c.id());
  });
}

std::string ps_table(const Containers& containers) {
  Table table({"NAMESPACE", "ID", "PID", "MODE", "PROFILE", "PHASE", "FOR", "VIOLATIONS",
               "WOULD-DENY", "NOTIFIED", "OPENS"});
  for (const auto& c : containers)
    table.add({c.namespace_(), c.id(), std::to_string(c.pid()), c.mode(), c.profile(), c.phase(),
               c.phase().empty() ? "" : readable_age(c.phase_since_ms()),
               std::to_string(c.violations()), std::to_string(c.would_denies()),
               std::to_string(c.notifications()), std::to_string(c.open_events())});
  return table.text();
}

std::string ps_json(const Containers& containers) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& c : containers)
    all.push_back({{"namespace", c.namespace_()},
                   {"id", c.id()},
                   {"pid", c.pid()},
                   {"mode", c.mode()},
                   {"profile", c.profile()},
                   {"phase", c.phase()},
                   {"phase_since_ms", c.phase_since_ms()},
                   {"violations", c.violations()},
                   {"would_denies", c.would_denies()},
                   {"notifications", c.notifications()},
                   {"open_events", c.open_events()},
                   {"supervisor_pid", c.supervisor_pid()},
                   {"shim_pid", c.shim_pid()}});
  return all.dump(2) + "\n";
}

}  // namespace moat::shim::ctl
