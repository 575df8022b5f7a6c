#include "shim/cgroups/stats.h"

#include <algorithm>
#include <filesystem>

#include "oci/sys.h"
#include "shim/cgroups/stats_v1.h"
#include "shim/cgroups/stats_v2.h"

namespace moat::shim {

namespace v1 = io::containerd::cgroups::v1;
namespace v2 = io::containerd::cgroups::v2;

namespace {

std::vector<std::string> page_sizes() {
  std::vector<std::string> sizes;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", ignored))
    if (auto size = page_size_of(entry.path().filename().string()))
      sizes.push_back(std::move(*size));
  std::ranges::sort(sizes);
  return sizes;
}

}  // namespace

Result<Stats> read_stats(const Cgroup& cgroup) {
  if (!oci::read_file(cgroup.folder() + "/cgroup.procs"))
    return fail(Code::NotFound, "cgroup " + cgroup.folder() + " is gone");
  const ReadFile read = [&](std::string_view controller, std::string_view file) {
    return cgroup.read(controller, file);
  };
  if (cgroup.unified()) return stats_v2(read, page_sizes());
  return stats_v1(read, {oci::read_file("/proc/partitions").value_or(""), page_sizes()});
}

Stats empty_stats(bool unified) {
  const ReadFile nothing = [](std::string_view, std::string_view) {
    return std::optional<std::string>();
  };
  if (unified) return stats_v2(nothing, {});
  return stats_v1(nothing, {});
}

void raise_oom_kills(Stats& stats, std::uint64_t kills) {
  if (kills == 0) return;
  if (auto* first = std::get_if<v1::Metrics>(&stats)) {
    auto& control = *first->mutable_memory_oom_control();
    control.set_oom_kill(std::max<std::uint64_t>(control.oom_kill(), kills));
  }
  if (auto* second = std::get_if<v2::Metrics>(&stats)) {
    auto& events = *second->mutable_memory_events();
    events.set_oom_kill(std::max<std::uint64_t>(events.oom_kill(), kills));
  }
}

std::string_view type_of(const Stats& stats) {
  return std::holds_alternative<v1::Metrics>(stats) ? "io.containerd.cgroups.v1.Metrics"
                                                    : "io.containerd.cgroups.v2.Metrics";
}

std::string to_wire(const Stats& stats) {
  return std::visit([](const auto& metrics) { return metrics.SerializeAsString(); }, stats);
}

}  // namespace moat::shim
