#include "shim/task/starting.h"

#include <csignal>

#include "oci/sys.h"
#include "shim/proto/events.pb.h"
#include "shim/proto/task.pb.h"

namespace moat::shim {

namespace {

// One start under way: it holds the process's turnstile and owes the client an answer.
struct Start : std::enable_shared_from_this<Start> {
  Start(Tasks& the_tasks, std::shared_ptr<Container> the_container,
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

  void init();
  void restore();
  void restore_done(Status status);
  void init_done(Status status);
  void init_guarded(Status status);
  void exec();
  void exec_ready(Status status);
  void exec_done(Status status);
  void exec_failed(Error error);
  void answer();

  [[nodiscard]] std::string exec_file(std::string_view suffix) const {
    return container->bundle + "/" + process->id + std::string(suffix);
  }
};

void Start::answer() {
  containerd::task::StartResponse response;
  response.set_pid(static_cast<std::uint32_t>(process->pid));
  call.ok(response.SerializeAsString());
}

void Start::init() {
  auto allowed = check(process->state, Request::Start);
  if (!allowed) return call.fail(std::move(allowed.error()));
  // An exit from here on is told after the start.
  tasks.exits.disarm(*process);
  process->state = State::Starting;
  if (!container->checkpoint.empty()) return restore();
  tasks.run({oci::runc_start(container->runc, container->id), container->runc.log, {}, ""},
            [self = shared_from_this()](Status status) { self->init_done(std::move(status)); });
}

// From an image there is nothing to create before: the runtime makes and starts it in one.
void Start::restore() {
  const Stdio& stdio = *process->stdio;
  const std::string work = container->criu_work();
  if (auto made = oci::make_dirs(work, 0711); !made) return restore_done(std::move(made));
  tasks.run({oci::runc_restore(container->runc,
                               {container->id, container->bundle, container->init_pid_file(),
                                container->checkpoint, container->criu_work(), "",
                                container->options.no_pivot_root, stdio.console_socket()}),
             container->runc.log, stdio.child_fds(), "", container->bundle},
            [self = shared_from_this()](Status status) { self->restore_done(std::move(status)); });
}

void Start::restore_done(Status status) {
  if (status) status = tasks.exits.adopt(*process, container->init_pid_file());
  if (status) status = process->stdio->started();
  if (!status) {
    process->state = State::Created;
    return call.fail(std::move(status.error()).in("OCI runtime restore failed"));
  }
  if (process->stdin_closed) process->stdio->close_stdin();
  if (auto cgroup = Cgroup::of_process(process->pid)) container->cgroup = std::move(*cgroup);
  container->checkpoint.clear();
  init_done({});
}

void Start::init_done(Status status) {
  if (status) {
    process->state = State::Running;
    containerd::events::TaskStart event;
    event.set_container_id(container->id);
    event.set_pid(static_cast<std::uint32_t>(process->pid));
    tasks.events.publish("/tasks/start", "containerd.events.TaskStart", event);
    if (container->guarded)
      container->guarded->started(
          [self = shared_from_this()](Status guarded) { self->init_guarded(std::move(guarded)); });
    else
      answer();
  } else {
    process->state = State::Created;
    call.fail(std::move(status.error()).in("OCI runtime start failed"));
  }
  tasks.exits.arm(container, process);
}

// Nothing runs unanswered: without its listener the container ends before the client is told.
void Start::init_guarded(Status status) {
  if (status) return answer();
  container->kill_all();
  call.fail(std::move(status.error()).in("OCI runtime start failed"));
}

void Start::exec() {
  auto allowed = check(process->state, Request::Start);
  if (!allowed) return call.fail(std::move(allowed.error()));
  if (container->init_exit)
    return call.fail(
        Code::FailedPrecondition,
        "container " + container->id + " init process is not running: failed precondition");
  auto stdio =
      Stdio::open(container->stdio_place(tasks.loop, tasks.reaper, tasks.ns), process->paths);
  if (!stdio) return call.fail(as_runtime_error(std::move(stdio.error())));
  auto written = oci::write_file_atomic(exec_file(".process.json"), process->spec, 0600);
  if (!written) return call.fail(as_runtime_error(std::move(written.error())));
  process->stdio = std::move(*stdio);
  process->state = State::Starting;
  process->stdio->when_ready(
      [self = shared_from_this()](Status ready) { self->exec_ready(std::move(ready)); });
}

void Start::exec_ready(Status ready) {
  if (!ready) return exec_failed(std::move(ready.error()));
  if (container->init_exit)
    return exec_failed({Code::FailedPrecondition, 0,
                        "container " + container->id + " init process is not running"});
  // Execs run side by side: each has a log of its own, or one's failure would be told as another's.
  oci::RuncConfig config = container->runc;
  config.log = exec_file(".log.json");
  oci::RuncCall runtime{
      oci::runc_exec(config, {container->id, exec_file(".process.json"), exec_file(".pid"),
                              process->stdio->console_socket()}),
      config.log, process->stdio->child_fds(), "", container->bundle};
  runtime.moves_process = true;
  runtime.spawned = [container = container, id = process->id](pid_t pid) {
    if (container->guarded) container->guarded->session_starting(id, pid);
  };
  tasks.run(std::move(runtime),
            [self = shared_from_this()](Status status) { self->exec_done(std::move(status)); });
}

void Start::exec_done(Status status) {
  ::unlink(exec_file(".process.json").c_str());
  ::unlink(exec_file(".log.json").c_str());
  if (status) status = tasks.exits.adopt(*process, exec_file(".pid"));
  if (status) status = process->stdio->started();
  if (!status) return exec_failed(std::move(status.error()).in("OCI runtime exec failed"));
  process->state = State::Running;
  if (process->stdin_closed) process->stdio->close_stdin();
  if (container->guarded) container->guarded->session_started(process->id, process->pid);
  containerd::events::TaskExecStarted event;
  event.set_container_id(container->id);
  event.set_exec_id(process->id);
  event.set_pid(static_cast<std::uint32_t>(process->pid));
  tasks.events.publish("/tasks/exec-started", "containerd.events.TaskExecStarted", event);
  answer();
  tasks.settling.begin();
  // Init ended while it was being started: with a shared pid namespace nobody else would end it.
  if (container->init_exit) (void)oci::pidfd_signal(process->pidfd.raw(), SIGKILL);
  tasks.exits.arm(container, process);
}

void Start::exec_failed(Error error) {
  ::unlink(exec_file(".process.json").c_str());
  if (process->pidfd.valid()) {
    // It runs, but without its streams: nobody would ever end it.
    (void)oci::pidfd_signal(process->pidfd.raw(), SIGKILL);
    tasks.exits.discard(*process);
  }
  process->stdio.reset();
  process->set_unstartable();
  if (container->guarded) container->guarded->session_started(process->id, 0);
  call.fail(as_runtime_error(std::move(error)));
  tasks.exits.settle(*container);
}

using Step = void (Start::*)();

void enter(const std::shared_ptr<Start>& start, Step step) {
  start->process->turnstile.enter([start, step](Turnstile::Ticket ticket) {
    start->ticket = std::move(ticket);
    (start.get()->*step)();
  });
}

}  // namespace

void start_init(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call) {
  enter(std::make_shared<Start>(tasks, container, container->init, std::move(call)), &Start::init);
}

void start_exec(Tasks& tasks, const std::shared_ptr<Container>& container,
                const std::shared_ptr<Process>& exec, ttrpc::Call call) {
  enter(std::make_shared<Start>(tasks, container, exec, std::move(call)), &Start::exec);
}

}  // namespace moat::shim
