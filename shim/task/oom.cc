#include "shim/task/oom.h"

#include "shim/log.h"
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
  if (watch) {
    container.oom = std::move(*watch);
  } else if (watch.error().err != ENOENT) {  // version 2 without the controller has no file
    log_warning("kills for want of memory will go unnoticed",
                {{"id", container.id}, {"error", watch.error().what}});
  }
}

}  // namespace moat::shim
