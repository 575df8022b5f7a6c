#include "shim/task/freezing.h"

#include "oci/sys.h"
#include "shim/cgroups/systemd_bus.h"
#include "shim/log.h"
#include "shim/proto/events.pb.h"
#include "shim/task/json_words.h"

namespace moat::shim {

namespace {

struct Change {
  Request request;
  std::string_view failed;                        // what a failure's text begins with
  std::function<void(CgroupManager::Done)> act;   // in the kernel, or by the runtime
  std::function<void()> begun = [] {};            // before it
  std::function<void(bool)> ended = [](bool) {};  // after it, told whether it succeeded
};

void perform(const std::shared_ptr<Container>& container, Change change, ttrpc::Call call) {
  struct Operation {
    Change change;
    ttrpc::Call call;
    Turnstile::Ticket ticket;
  };
  auto operation = std::make_shared<Operation>(Operation{std::move(change), std::move(call), {}});
  container->init->turnstile.enter([container, operation](Turnstile::Ticket ticket) {
    operation->ticket = std::move(ticket);
    auto allowed = check(container->init->state, operation->change.request);
    if (!allowed) return operation->call.fail(std::move(allowed.error()));
    operation->change.begun();
    operation->change.act([container, operation](Status status) {
      operation->change.ended(status.has_value());
      // A group whose last process has gone counts as frozen, or as thawed.
      if (status && container->init_exit && operation->change.request != Request::Update)
        status = check(State::Stopped, operation->change.request);
      if (status) return operation->call.ok();
      operation->call.fail(std::move(status.error()).in(operation->change.failed));
    });
  });
}

void manage_by_systemd(Tasks& tasks, Container& container, const std::string& unit) {
  auto bus = tasks.systemd.lock();
  if (!bus) {
    auto opened = SystemdBus::open(tasks.loop);
    if (!opened)
      return log_warning("systemd cannot be reached, its cgroups are changed in their files",
                         {{"id", container.id}, {"error", opened.error().what}});
    tasks.systemd = bus = std::move(*opened);
  }
  container.manager = manage_unit(std::move(bus), unit, std::move(container.manager));
  // Nothing to do but to say it: its processes are told of by their descriptors.
  container.manager->on_removed([&container, unit] {
    if (oci::read_file(container.cgroup->folder() + "/cgroup.procs")) return;
    if (std::exchange(container.cgroup_gone, true)) return;
    log_info("systemd has removed the container's unit", {{"id", container.id}, {"unit", unit}});
  });
}

// Its init may have ended meanwhile: that state is final.
void set_state(Container& container, State state) {
  if (!container.init_exit) container.init->state = state;
}

std::function<void(CgroupManager::Done)> by_runtime(Tasks& tasks,
                                                    const std::shared_ptr<Container>& container,
                                                    oci::Argv argv, std::string input = "") {
  return [&tasks, container, argv = std::move(argv),
          input = std::move(input)](CgroupManager::Done done) {
    tasks.run({argv, container->runc.log, {}, input}, std::move(done));
  };
}

// Without a freezer only the runtime is left to say so in its own words.
std::function<void(CgroupManager::Done)> by_kernel(
    Tasks& tasks, const std::shared_ptr<Container>& container,
    void (CgroupManager::*change)(CgroupManager::Done), oci::Argv otherwise) {
  if (!container->manager) return by_runtime(tasks, container, std::move(otherwise));
  return [container, change](CgroupManager::Done done) {
    (*container->manager.*change)(std::move(done));
  };
}

}  // namespace

void manage_cgroup(Tasks& tasks, Container& container) {
  container.manager = manage_files(tasks.loop, *container.cgroup);
  if (!container.options.systemd_cgroup) return;
  const std::string unit = unit_of(container.cgroup->folder());
  if (!unit.empty()) manage_by_systemd(tasks, container, unit);
}

void pause_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call) {
  Change change;
  change.request = Request::Pause;
  change.act = by_kernel(tasks, container, &CgroupManager::freeze,
                         oci::runc_pause(container->runc, container->id));
  change.failed = "OCI runtime pause failed";
  change.begun = [container] { set_state(*container, State::Pausing); };
  change.ended = [&tasks, container](bool paused) {
    set_state(*container, paused ? State::Paused : State::Running);
    if (!paused || container->init_exit) return;
    containerd::events::TaskPaused event;
    event.set_container_id(container->id);
    tasks.events.publish("/tasks/paused", "containerd.events.TaskPaused", event);
  };
  perform(container, std::move(change), std::move(call));
}

void resume_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call) {
  Change change;
  change.request = Request::Resume;
  change.act = by_kernel(tasks, container, &CgroupManager::thaw,
                         oci::runc_resume(container->runc, container->id));
  change.failed = "OCI runtime resume failed";
  change.ended = [&tasks, container](bool resumed) {
    if (!resumed || container->init_exit) return;
    if (container->guarded) container->guarded->changed();
    set_state(*container, State::Running);
    containerd::events::TaskResumed event;
    event.set_container_id(container->id);
    tasks.events.publish("/tasks/resumed", "containerd.events.TaskResumed", event);
  };
  perform(container, std::move(change), std::move(call));
}

void update_container(Tasks& tasks, const std::shared_ptr<Container>& container,
                      std::string resources, ttrpc::Call call) {
  auto checked = check_json_object(resources, "specs.LinuxResources");
  if (!checked) return call.fail(std::move(checked.error()));
  Change change;
  change.request = Request::Update;
  change.act = by_runtime(tasks, container, oci::runc_update(container->runc, container->id),
                          std::move(resources));
  change.failed = "OCI runtime update failed";
  // Also after a failure: half of it may have been done.
  change.ended = [container](bool) {
    if (container->guarded && !container->init_exit) container->guarded->changed();
  };
  perform(container, std::move(change), std::move(call));
}

}  // namespace moat::shim
