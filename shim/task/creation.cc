#include "shim/task/creation.h"

#include <sys/stat.h>

#include <algorithm>

#include "oci/spec.h"
#include "oci/sys.h"
#include "shim/cgroups/controllers.h"
#include "shim/log.h"
#include "shim/proto/events.pb.h"
#include "shim/task/freezing.h"
#include "shim/task/oom.h"

namespace moat::shim {

namespace {

constexpr std::string_view kFailed = "OCI runtime create failed";

StdioPaths paths_of(const containerd::task::CreateTaskRequest& request) {
  return {request.stdin(), request.stdout(), request.stderr(), request.terminal()};
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// Ids become file names in the bundle.
Status check_request(const containerd::task::CreateTaskRequest& request) {
  if (request.id().empty() || request.id().find('/') != std::string::npos)
    return fail(Code::InvalidArgument, "container id \"" + request.id() + "\" is not valid");
  if (!request.bundle().starts_with('/'))
    return fail(Code::InvalidArgument,
                "bundle \"" + request.bundle() + "\" is not an absolute path");
  return {};
}

}  // namespace

Creation::Creation(Tasks& tasks, ttrpc::Call call, containerd::task::CreateTaskRequest request)
    : tasks_(tasks), call_(std::move(call)), request_(std::move(request)) {}

void Creation::begin(Tasks& tasks, ttrpc::Call call, containerd::task::CreateTaskRequest request) {
  auto self = std::make_shared<Creation>(tasks, std::move(call), std::move(request));
  auto& container = self->container_ = std::make_shared<Container>();
  container->id = self->request_.id();
  container->bundle = self->request_.bundle();
  container->init = std::make_shared<Process>(tasks.loop, container->id, paths_of(self->request_));
  auto prepared = check_request(self->request_);
  if (prepared) prepared = self->read_spec();
  if (prepared && (tasks.containers.contains(container->id) ||
                   !tasks.creating.emplace(container->id, container).second))
    prepared =
        fail(Code::Unknown,
             std::string(kFailed) + ": runc create failed: container with given ID already exists");
  if (!prepared) return self->call_.fail(as_runtime_error(std::move(prepared.error())));
  prepared = self->prepare();
  if (!prepared) return self->undo(std::move(prepared.error()), false);
  self->mount();
}

void Creation::streams_ready(Status status) {
  if (!status) return undo(std::move(status.error()), false);
  if (container_->checkpoint.empty()) return run_runtime();
  finish({});  // there is no process before the start
}

Status Creation::read_spec() {
  auto text = oci::read_file(container_->bundle + "/config.json");
  if (!text && text.error().err == ENOENT)
    return fail(Code::Unknown, std::string(kFailed) +
                                   ": runc create failed: JSON specification file config.json not "
                                   "found");
  if (!text) return fail(std::move(text.error()));
  auto spec = oci::Spec::parse(*text);
  if (!spec) return fail(std::move(spec.error()).in(container_->bundle));
  container_->private_pids = spec->private_pid_namespace();
  cgroups_path_ = spec->cgroups_path();
  root_ = spec->root_path();
  if (!root_.starts_with('/')) root_ = container_->bundle + "/" + root_;
  return {};
}

// All that takes no time worth waiting for.
Status Creation::prepare() {
  Container& container = *container_;
  auto options = decode_options(request_.options(), tasks_.defaults);
  if (!options) return fail(std::move(options.error()));
  container.options = std::move(*options);
  container.options.systemd_cgroup = uses_systemd(container.options, cgroups_path_);
  container.runc = {container.options.binary, container.options.root + "/" + tasks_.ns,
                    container.bundle + "/log.json", container.options.systemd_cgroup};
  return save_options(container.bundle, container.options);
}

void Creation::mounted(Status status) {
  if (status) status = find_root();
  if (status) status = prepare_process();
  if (!status) return undo(std::move(status.error()), false);
  container_->init->stdio->when_ready(
      [self = shared_from_this()](Status ready) { self->streams_ready(std::move(ready)); });
}

Status Creation::prepare_process() {
  Container& container = *container_;
  auto guarded =
      tasks_.guard.prepare({tasks_.ns, container.id, container.bundle, container.options.binary});
  if (!guarded) return fail(std::move(guarded.error()));
  container.guarded = std::move(*guarded);
  if (container.guarded && !request_.checkpoint().empty())
    return fail(Code::FailedPrecondition,
                "container " + container.id +
                    " is supervised and cannot be restored from a checkpoint: a restored process "
                    "has no seccomp listener; set the annotation moat.dev/mode to off");
  container.checkpoint = request_.checkpoint();
  auto stdio = Stdio::open(container.stdio_place(tasks_.loop, tasks_.reaper, tasks_.ns),
                           container.init->paths);
  if (!stdio) return fail(std::move(stdio.error()));
  container.init->stdio = std::move(*stdio);
  return {};
}

void Creation::mount() {
  std::vector<RootfsMount> mounts;
  for (const auto& mount : request_.rootfs())
    mounts.push_back({mount.type(),
                      mount.source(),
                      mount.target(),
                      {mount.options().begin(), mount.options().end()}});
  if (mounts.empty()) return mounted({});
  const std::string rootfs = container_->rootfs();
  if (::mkdir(rootfs.c_str(), 0711) != 0 && errno != EEXIST)
    return mounted(fail_errno(errno, rootfs));
  container_->mounted = true;
  tasks_.mount(rootfs, mounts,
               [self = shared_from_this()](Status status) { self->mounted(std::move(status)); });
}

Status Creation::find_root() const {
  if (is_folder(root_)) return {};
  return fail(Code::InvalidArgument,
              "bundle " + container_->bundle + " has no root file system: " + root_ +
                  " (root.path of config.json) is not a folder, and no mounts were given");
}

void Creation::run_runtime() {
  const Container& container = *container_;
  oci::RuncCall call;
  call.argv = oci::runc_create(
      container.runc,
      {container.id, container.bundle, container.init_pid_file(), container.options.no_pivot_root,
       container.options.no_new_keyring, container.init->stdio->console_socket()});
  call.cwd = container.bundle;
  call.log = container.runc.log;
  call.fds = container.init->stdio->child_fds();
  call.moves_process = true;
  tasks_.run(std::move(call),
             [self = shared_from_this()](Status status) { self->runtime_done(std::move(status)); });
}

void Creation::runtime_done(Status status) {
  Process& init = *container_->init;
  const bool killed = !status && status.error().code == Code::DeadlineExceeded;
  if (!status) return undo(std::move(status.error()).in(kFailed), killed);
  auto adopted = tasks_.exits.adopt(init, container_->init_pid_file());
  if (adopted) adopted = init.stdio->started();
  if (!adopted) return undo(std::move(adopted.error()).in(kFailed), true);
  if (init.stdin_closed) init.stdio->close_stdin();
  // Without a cgroup of its own (no controller at all) only its processes' descriptors are left.
  if (auto cgroup = Cgroup::of_process(init.pid)) take_cgroup(std::move(*cgroup));
  finish(container_->guarded ? container_->guarded->created(init.pid) : Status());
}

void Creation::take_cgroup(Cgroup cgroup) {
  const auto enabled = enable_controllers(cgroup);
  if (!enabled)
    log_warning("not every controller is given to the container",
                {{"id", container_->id}, {"error", enabled.error().what}});
  container_->cgroup = std::move(cgroup);
  manage_cgroup(tasks_, *container_);
  // At once: what is started next may be dead for want of memory a moment later.
  watch_oom_kills(tasks_, *container_);
}

void Creation::finish(Status guarded) {
  if (!guarded) return undo(std::move(guarded.error()), true);
  tasks_.creating.erase(container_->id);
  tasks_.containers.emplace(container_->id, container_);
  publish();
  tasks_.exits.arm(container_, container_->init);
  containerd::task::CreateTaskResponse response;
  response.set_pid(static_cast<std::uint32_t>(container_->init->pid));
  call_.ok(response.SerializeAsString());
  // The configuration was parsed here: megabytes that nothing needs again.
  tasks_.settling.begin();
}

void Creation::publish() const {
  containerd::events::TaskCreate event;
  event.set_container_id(container_->id);
  event.set_bundle(container_->bundle);
  *event.mutable_rootfs() = request_.rootfs();
  event.mutable_io()->set_stdin(request_.stdin());
  event.mutable_io()->set_stdout(request_.stdout());
  event.mutable_io()->set_stderr(request_.stderr());
  event.mutable_io()->set_terminal(request_.terminal());
  event.set_checkpoint(request_.checkpoint());
  event.set_pid(static_cast<std::uint32_t>(container_->init->pid));
  tasks_.events.publish("/tasks/create", "containerd.events.TaskCreate", event);
}

void Creation::undo(Error error, bool runtime_left) {
  error_ = as_runtime_error(std::move(error));
  // A client that reads the output must see its end now, whatever the rest takes.
  container_->init->stdio.reset();
  tasks_.exits.discard(*container_->init);
  if (!runtime_left) return undo_mounts();
  tasks_.run(
      {oci::runc_delete(container_->runc, container_->id, true), container_->runc.log, {}, ""},
      [self = shared_from_this()](Status deleted) {
        if (!deleted)
          log_error("a container that failed to be created may be left",
                    {{"id", self->container_->id}, {"error", deleted.error().what}});
        self->undo_mounts();
      });
}

void Creation::undo_mounts() {
  container_->guarded.reset();
  if (!container_->mounted) return answer_failure();
  tasks_.unmount(container_->rootfs(), [self = shared_from_this()](Status unmounted) {
    if (!unmounted)
      log_error("failed rootfs umount",
                {{"id", self->container_->id}, {"error", unmounted.error().what}});
    self->answer_failure();
  });
}

void Creation::answer_failure() {
  tasks_.creating.erase(container_->id);
  call_.fail(std::move(error_));
  tasks_.changed();
}

}  // namespace moat::shim
