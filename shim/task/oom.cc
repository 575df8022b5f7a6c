#include "shim/task/oom.h"

#include "shim/proto/events.pb.h"

namespace moat::shim {

void tell_oom_kills(Tasks& tasks, Container& container) {
  if (!container.cgroup || container.cgroup->folder("memory").empty()) return;
  auto watch =
      watch_oom(tasks.loop, *container.cgroup, [&events = tasks.events, id = container.id] {
        containerd::events::TaskOOM event;
        event.set_container_id(id);
        events.publish("/tasks/oom", "containerd.events.TaskOOM", event);
      });
  // Version 2 without the controller has nothing to watch.
  if (watch) container.oom = std::move(*watch);
}

}  // namespace moat::shim
