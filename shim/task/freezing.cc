#include "shim/task/freezing.h"

#include "shim/proto/events.pb.h"
#include "shim/task/json_words.h"

namespace moat::shim {

namespace {

struct Change {
  Request request;
  oci::RuncCall runtime;
  std::string_view failed;          // what a failure's text begins with
  std::function<void()> begun;      // before the runtime runs
  std::function<void(bool)> ended;  // after it, told whether it succeeded
};

void perform(Tasks& tasks, const std::shared_ptr<Container>& container, Change change,
             ttrpc::Call call) {
  struct Operation {
    Change change;
    ttrpc::Call call;
    Turnstile::Ticket ticket;
  };
  auto operation = std::make_shared<Operation>(Operation{std::move(change), std::move(call), {}});
  container->init->turnstile.enter([&tasks, container, operation](Turnstile::Ticket ticket) {
    operation->ticket = std::move(ticket);
    auto allowed = check(container->init->state, operation->change.request);
    if (!allowed) return operation->call.fail(std::move(allowed.error()));
    if (operation->change.begun) operation->change.begun();
    tasks.run(operation->change.runtime, [operation](Status status) {
      if (operation->change.ended) operation->change.ended(status.has_value());
      if (status) return operation->call.ok();
      operation->call.fail(std::move(status.error()).in(operation->change.failed));
    });
  });
}

// Its init may have ended meanwhile: that state is final.
void set_state(Process& init, State state) {
  if (init.state != State::Stopped) init.state = state;
}

}  // namespace

void pause_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call) {
  Change change;
  change.request = Request::Pause;
  change.runtime = {oci::runc_pause(container->runc, container->id), container->runc.log, {}, ""};
  change.failed = "OCI runtime pause failed";
  change.begun = [container] { set_state(*container->init, State::Pausing); };
  change.ended = [&tasks, container](bool paused) {
    set_state(*container->init, paused ? State::Paused : State::Running);
    if (!paused) return;
    containerd::events::TaskPaused event;
    event.set_container_id(container->id);
    tasks.events.publish("/tasks/paused", "containerd.events.TaskPaused", event);
  };
  perform(tasks, container, std::move(change), std::move(call));
}

void resume_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call) {
  Change change;
  change.request = Request::Resume;
  change.runtime = {oci::runc_resume(container->runc, container->id), container->runc.log, {}, ""};
  change.failed = "OCI runtime resume failed";
  change.ended = [&tasks, container](bool resumed) {
    if (!resumed) return;
    set_state(*container->init, State::Running);
    containerd::events::TaskResumed event;
    event.set_container_id(container->id);
    tasks.events.publish("/tasks/resumed", "containerd.events.TaskResumed", event);
  };
  perform(tasks, container, std::move(change), std::move(call));
}

void update_container(Tasks& tasks, const std::shared_ptr<Container>& container,
                      std::string resources, ttrpc::Call call) {
  auto checked = check_json_object(resources, "specs.LinuxResources");
  if (!checked) return call.fail(std::move(checked.error()));
  Change change;
  change.request = Request::Update;
  change.runtime = {oci::runc_update(container->runc, container->id),
                    container->runc.log,
                    {},
                    std::move(resources)};
  change.failed = "OCI runtime update failed";
  perform(tasks, container, std::move(change), std::move(call));
}

}  // namespace moat::shim
