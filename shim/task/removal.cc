#include "shim/task/removal.h"

#include <unistd.h>

#include "shim/proto/events.pb.h"
#include "shim/proto/task.pb.h"

namespace moat::shim {

namespace {

using std::chrono::milliseconds;

// CRI gives an exit ten seconds in all: what holds a pipe of a dead container gets two of them,
// what may still be writing (a daemon left behind by an exec) five.
constexpr milliseconds kDrainDead{2000};
constexpr milliseconds kDrainAlive{5000};

struct Removal : std::enable_shared_from_this<Removal> {
  Removal(Tasks& the_tasks, std::shared_ptr<Container> the_container,
          std::shared_ptr<Process> the_process, ttrpc::Call the_call)
      : tasks(the_tasks),
        container(std::move(the_container)),
        process(std::move(the_process)),
        call(std::move(the_call)) {}

  Tasks& tasks;
  std::shared_ptr<Container> container;
  std::shared_ptr<Process> process;
  ttrpc::Call call;
  Turnstile::Ticket ticket;

  void begin();
  void drained();
  void exec_gone();
  void runtime_done(Status status);
  void unmounted(Status status);
  void answer();
};

void Removal::begin() {
  // Somebody may have deleted it while we waited for our turn.
  const auto found = tasks.find(container->id);
  if (!found || *found != container)
    return call.fail(Code::NotFound, "container not created: not found");
  const auto still = Tasks::find(*container, process == container->init ? "" : process->id);
  if (!still) return call.fail(still.error());
  auto allowed = check(process->state, Request::Delete);
  if (!allowed) return call.fail(std::move(allowed.error()));
  if (!process->stdio || process->state == State::Created) return drained();
  const bool dead = !container->cgroup || container->cgroup->empty();
  process->stdio->drain(dead ? kDrainDead : kDrainAlive,
                        [self = shared_from_this()] { self->drained(); });
}

void Removal::drained() {
  if (process != container->init) return exec_gone();
  tasks.run({oci::runc_delete(container->runc, container->id, false), container->runc.log, {}, ""},
            [self = shared_from_this()](Status status) { self->runtime_done(std::move(status)); });
}

void Removal::exec_gone() {
  process->stdio.reset();
  container->execs.erase(process->id);
  ::unlink((container->bundle + "/" + process->id + ".pid").c_str());
  answer();
}

void Removal::runtime_done(Status status) {
  // Gone already: an earlier try got this far, or somebody used the runtime by hand.
  if (!status && status.error().what.find("does not exist") == std::string::npos)
    return call.fail(std::move(status.error()).in("OCI runtime delete failed"));
  process->stdio.reset();
  container->guarded.reset();
  if (!container->mounted) return unmounted({});
  tasks.unmount(container->rootfs(),
                [self = shared_from_this()](Status done) { self->unmounted(std::move(done)); });
}

void Removal::unmounted(Status status) {
  if (!status)
    return call.fail(as_runtime_error(std::move(status.error()).in("failed rootfs umount")));
  tasks.exits.discard(*process);  // a container that never ran
  tasks.containers.erase(container->id);
  containerd::events::TaskDelete event;
  event.set_container_id(container->id);
  event.set_pid(static_cast<std::uint32_t>(process->pid));
  event.set_exit_status(process->exit.status);
  fill(*event.mutable_exited_at(), process->exit);
  tasks.events.publish("/tasks/delete", "containerd.events.TaskDelete", event);
  answer();
  tasks.changed();
}

void Removal::answer() {
  containerd::task::DeleteResponse response;
  response.set_pid(static_cast<std::uint32_t>(process->pid));
  response.set_exit_status(process->exit.status);
  fill(*response.mutable_exited_at(), process->exit);
  call.ok(response.SerializeAsString());
}

void enter(const std::shared_ptr<Removal>& removal) {
  removal->process->turnstile.enter([removal](Turnstile::Ticket ticket) {
    removal->ticket = std::move(ticket);
    removal->begin();
  });
}

}  // namespace

void delete_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call) {
  enter(std::make_shared<Removal>(tasks, container, container->init, std::move(call)));
}

void delete_exec(Tasks& tasks, const std::shared_ptr<Container>& container,
                 const std::shared_ptr<Process>& exec, ttrpc::Call call) {
  enter(std::make_shared<Removal>(tasks, container, exec, std::move(call)));
}

}  // namespace moat::shim
