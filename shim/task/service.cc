#include "shim/task/service.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "shim/proto/events.pb.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/task/checkpoint.h"
#include "shim/task/creation.h"
#include "shim/task/freezing.h"
#include "shim/task/json_words.h"
#include "shim/task/removal.h"
#include "shim/task/signals.h"
#include "shim/task/starting.h"
#include "shim/task/stats.h"

namespace moat::shim {

namespace task = containerd::task;

namespace {

// Finds the process a request is about, or answers that there is none.
struct Found {
  std::shared_ptr<Container> container;
  std::shared_ptr<Process> process;
  explicit operator bool() const { return process != nullptr; }
};

template <class Request>
Found find(const Tasks& tasks, const Request& request, ttrpc::Call& call) {
  auto container = tasks.find(request.id());
  if (!container) {
    call.fail(std::move(container.error()));
    return {};
  }
  auto process = Tasks::find(**container, request.exec_id());
  if (!process) {
    call.fail(std::move(process.error()));
    return {};
  }
  return {std::move(*container), std::move(*process)};
}

// A frozen container's processes run no more than its init does.
State shown_state(const Container& container, const Process& process) {
  const State init = container.init->state;
  const bool frozen = init == State::Paused || init == State::Pausing;
  return frozen && process.state == State::Running ? init : process.state;
}

StdioPaths paths_of(const task::ExecProcessRequest& request) {
  return {request.stdin(), request.stdout(), request.stderr(), request.terminal()};
}

// The process document with `terminal` as the request has it.
Result<std::string> process_document(const task::ExecProcessRequest& request) {
  auto checked = check_json_object(request.spec().value(), "specs.Process");
  if (!checked) return fail(std::move(checked.error()));
  auto json = nlohmann::json::parse(request.spec().value(), nullptr, false);
  json["terminal"] = request.terminal();
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

TaskService::TaskService(Tasks& tasks, std::function<void()> shutdown)
    : tasks_(tasks), shutdown_(std::move(shutdown)) {
  GuardActions actions;
  actions.kill = [this](const std::string& id) {
    for (const auto& list : {tasks_.containers, tasks_.creating})
      if (const auto found = list.find(id); found != list.end()) found->second->kill_all();
  };
  actions.freeze = [this](const std::string& id) {
    if (const auto found = tasks_.find(id)) pause_container(tasks_, *found, ttrpc::Call());
  };
  tasks_.guard.use(std::move(actions));
}

void TaskService::register_in(ttrpc::Registry& registry) {
  const auto add = [&]<class Request>(const char* method,
                                      void (TaskService::*handler)(ttrpc::Call, Request)) {
    for (const char* service : {"containerd.task.v2.Task", "containerd.task.v3.Task"})
      registry.add(
          service, method,
          [this, handler](ttrpc::Call call, std::string_view payload, std::chrono::nanoseconds) {
            std::remove_cvref_t<Request> request;
            if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
              return call.fail(Code::InvalidArgument, "the request is not the method's message");
            (this->*handler)(std::move(call), std::move(request));
          });
  };
  add("Create", &TaskService::create);
  add("Start", &TaskService::start);
  add("Delete", &TaskService::remove);
  add("Exec", &TaskService::exec);
  add("State", &TaskService::state);
  add("Wait", &TaskService::wait);
  add("Kill", &TaskService::kill);
  add("CloseIO", &TaskService::close_io);
  add("ResizePty", &TaskService::resize);
  add("Pids", &TaskService::pids);
  add("Pause", &TaskService::pause);
  add("Resume", &TaskService::resume);
  add("Update", &TaskService::update);
  add("Stats", &TaskService::stats);
  add("Checkpoint", &TaskService::checkpoint);
  add("Connect", &TaskService::connect);
  add("Shutdown", &TaskService::shut_down);
}

void TaskService::create(ttrpc::Call call, task::CreateTaskRequest request) {
  Creation::begin(tasks_, std::move(call), std::move(request));
}

void TaskService::start(ttrpc::Call call, const task::StartRequest& request) {
  const Found found = find(tasks_, request, call);
  if (!found) return;
  if (found.process == found.container->init)
    return start_init(tasks_, found.container, std::move(call));
  start_exec(tasks_, found.container, found.process, std::move(call));
}

void TaskService::remove(ttrpc::Call call, const task::DeleteRequest& request) {
  const Found found = find(tasks_, request, call);
  if (!found) return;
  if (found.process == found.container->init)
    return delete_container(tasks_, found.container, std::move(call));
  delete_exec(tasks_, found.container, found.process, std::move(call));
}

void TaskService::exec(ttrpc::Call call, const task::ExecProcessRequest& request) {
  auto container = tasks_.find(request.id());
  if (!container) return call.fail(std::move(container.error()));
  const std::string& id = request.exec_id();
  if (id.empty() || id.find('/') != std::string::npos)
    return call.fail(Code::InvalidArgument, "exec id \"" + id + "\" is not valid");
  if ((*container)->execs.contains(id))
    return call.fail(Code::AlreadyExists, "id " + id + ": already exists");
  auto allowed = check((*container)->init->state, Request::Exec);
  if (!allowed) return call.fail(std::move(allowed.error()));
  auto document = process_document(request);
  if (!document) return call.fail(std::move(document.error()));
  auto process = std::make_shared<Process>(tasks_.loop, id, paths_of(request));
  process->spec = std::move(*document);
  (*container)->execs.emplace(id, std::move(process));
  containerd::events::TaskExecAdded event;
  event.set_container_id(request.id());
  event.set_exec_id(id);
  tasks_.events.publish("/tasks/exec-added", "containerd.events.TaskExecAdded", event);
  call.ok();
}

void TaskService::state(ttrpc::Call call, const task::StateRequest& request) {
  const Found found = find(tasks_, request, call);
  if (!found) return;
  const Process& process = *found.process;
  task::StateResponse response;
  response.set_id(process.id);
  response.set_bundle(found.container->bundle);
  response.set_pid(static_cast<std::uint32_t>(process.pid));
  response.set_status(to_wire(shown_state(*found.container, process)));
  response.set_stdin(process.paths.in);
  response.set_stdout(process.paths.out);
  response.set_stderr(process.paths.err);
  response.set_terminal(process.paths.terminal);
  response.set_exit_status(process.exit.status);
  fill(*response.mutable_exited_at(), process.exit);
  call.ok(response.SerializeAsString());
}

void TaskService::wait(ttrpc::Call call, const task::WaitRequest& request) {
  if (const Found found = find(tasks_, request, call)) found.process->wait(std::move(call));
}

void TaskService::kill(ttrpc::Call call, const task::KillRequest& request) {
  const Found found = find(tasks_, request, call);
  if (!found) return;
  const Signal signal{static_cast<int>(request.signal()), request.all()};
  if (found.process == found.container->init)
    return kill_init(found.container, signal, std::move(call));
  kill_exec(found.process, signal, std::move(call));
}

void TaskService::close_io(ttrpc::Call call, const task::CloseIORequest& request) {
  auto container = tasks_.find(request.id());
  if (!container) return call.fail(std::move(container.error()));
  auto process = Tasks::find(**container, request.exec_id());
  // This one method does not map its error to a code in runc's shim, and clients compare codes.
  if (!process) return call.fail(Code::Unknown, process.error().what);
  if (request.stdin()) (*process)->close_stdin();
  call.ok();
}

void TaskService::resize(ttrpc::Call call, const task::ResizePtyRequest& request) {
  const Found found = find(tasks_, request, call);
  if (!found) return;
  if (found.process != found.container->init && found.process->state == State::Stopped)
    return call.fail(Code::Unknown, "cannot resize a stopped container");
  const WindowSize size{static_cast<std::uint16_t>(request.width()),
                        static_cast<std::uint16_t>(request.height())};
  auto resized = found.process->stdio ? found.process->stdio->resize(size) : Status();
  if (!resized) return call.fail(as_runtime_error(std::move(resized.error())));
  call.ok();
}

void TaskService::pids(ttrpc::Call call, const task::PidsRequest& request) {
  const auto container = tasks_.find(request.id());
  if (!container) return call.fail(container.error());
  std::map<pid_t, std::string> execs;
  for (const auto& [id, exec] : (*container)->execs)
    if (exec->live() && exec->pid > 0) execs.emplace(exec->pid, id);
  std::vector<pid_t> pids;
  if ((*container)->init->state != State::Stopped) {
    if ((*container)->cgroup) pids = (*container)->cgroup->pids();
    // A daemon that sees an empty list takes a live task for a leaked one.
    if (pids.empty() && (*container)->init->pid > 0) pids.push_back((*container)->init->pid);
  }
  task::PidsResponse response;
  for (const pid_t pid : pids) {
    auto& process = *response.add_processes();
    process.set_pid(static_cast<std::uint32_t>(pid));
    const auto exec = execs.find(pid);
    if (exec == execs.end()) continue;
    containerd::runc::v1::ProcessDetails details;
    details.set_exec_id(exec->second);
    process.mutable_info()->set_type_url("containerd.runc.v1.ProcessDetails");
    process.mutable_info()->set_value(details.SerializeAsString());
  }
  call.ok(response.SerializeAsString());
}

void TaskService::pause(ttrpc::Call call, const task::PauseRequest& request) {
  auto container = tasks_.find(request.id());
  if (!container) return call.fail(std::move(container.error()));
  pause_container(tasks_, *container, std::move(call));
}

void TaskService::resume(ttrpc::Call call, const task::ResumeRequest& request) {
  auto container = tasks_.find(request.id());
  if (!container) return call.fail(std::move(container.error()));
  resume_container(tasks_, *container, std::move(call));
}

void TaskService::update(ttrpc::Call call, const task::UpdateTaskRequest& request) {
  auto container = tasks_.find(request.id());
  if (!container) return call.fail(std::move(container.error()));
  update_container(tasks_, *container, request.resources().value(), std::move(call));
}

void TaskService::stats(ttrpc::Call call, const task::StatsRequest& request) {
  const auto container = tasks_.find(request.id());
  if (!container) return call.fail(container.error());
  answer_stats(**container, std::move(call));
}

void TaskService::checkpoint(ttrpc::Call call, const task::CheckpointTaskRequest& request) {
  const auto container = tasks_.find(request.id());
  if (!container) return call.fail(container.error());
  checkpoint_container(tasks_, *container, request, std::move(call));
}

void TaskService::connect(ttrpc::Call call, const task::ConnectRequest& request) {
  task::ConnectResponse response;
  response.set_shim_pid(static_cast<std::uint32_t>(::getpid()));
  if (const auto container = tasks_.find(request.id()))
    response.set_task_pid(static_cast<std::uint32_t>((*container)->init->pid));
  call.ok(response.SerializeAsString());
}

void TaskService::shut_down(ttrpc::Call call, const task::ShutdownRequest&) {
  call.ok();
  if (tasks_.idle()) shutdown_();
}

}  // namespace moat::shim
