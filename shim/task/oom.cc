#include "shim/task/oom.h"

#include "shim/proto/events.pb.h"

namespace moat::shim {

namespace {

void tell_oom_kill(EventSink& events, const Container& container) {
  containerd::events::TaskOOM event;
  event.set_container_id(container.id);
  events.publish("/tasks/oom", "containerd.events.TaskOOM", event);
}

}  // namespace

void watch_oom_kills(Tasks& tasks, Container& container) {
  if (!container.cgroup || container.cgroup->folder("memory").empty()) return;
  auto watch = watch_oom(tasks.loop, *container.cgroup, [&events = tasks.events, &container] {
    // It runs while the runtime that started it is still on its way back to us.
    if (container.init->state == State::Starting)
      ++container.late_oom_kills;
    else
      tell_oom_kill(events, container);
  });
  // Version 2 without the controller has nothing to watch.
  if (watch) container.oom = std::move(*watch);
}

void tell_late_oom_kills(EventSink& events, Container& container) {
  for (; container.late_oom_kills > 0; --container.late_oom_kills) tell_oom_kill(events, container);
}

}  // namespace moat::shim
