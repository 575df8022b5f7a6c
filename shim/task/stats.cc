#include "shim/task/stats.h"

#include "shim/proto/task.pb.h"

namespace moat::shim {

namespace {

// Reads what is there; keeps what was, when nothing is.
void refresh(Container& container) {
  if (auto stats = read_stats(*container.cgroup)) {
    container.last_stats = std::move(*stats);
  } else if (!container.last_stats) {
    container.last_stats = empty_stats(container.cgroup->unified());
  }
  if (container.oom) raise_oom_kills(*container.last_stats, container.oom->kills());
}

}  // namespace

void keep_last_stats(Container& container) {
  if (container.cgroup) refresh(container);
}

void answer_stats(Container& container, ttrpc::Call call) {
  if (!container.cgroup) return call.fail(Code::NotFound, "cgroup does not exist: not found");
  refresh(container);
  containerd::task::StatsResponse response;
  auto& stats = *response.mutable_stats();
  stats.set_type_url(std::string(type_of(*container.last_stats)));
  stats.set_value(to_wire(*container.last_stats));
  call.ok(response.SerializeAsString());
}

}  // namespace moat::shim
