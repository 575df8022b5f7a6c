#include "shim/task/checkpoint.h"

#include "oci/sys.h"
#include "shim/log.h"
#include "shim/proto/runc_options.pb.h"

namespace moat::shim {

namespace {

using containerd::runc::v1::CheckpointOptions;

constexpr std::size_t kMaxDump = 16U << 20;

Result<CheckpointOptions> options_of(const moat::wire::Any& any) {
  CheckpointOptions options;
  const std::string& url = any.type_url();
  if (url.empty()) return options;
  if (url.substr(url.rfind('/') + 1) != "containerd.runc.v1.CheckpointOptions" ||
      !options.ParseFromString(any.value()))
    return fail(Code::InvalidArgument,
                "checkpoint options: " + url + " is not a containerd.runc.v1.CheckpointOptions");
  return options;
}

oci::RuncCheckpoint arguments_of(const CheckpointOptions& options, const Container& container,
                                 const std::string& path) {
  oci::RuncCheckpoint arguments;
  arguments.id = container.id;
  arguments.image_path = path;
  arguments.work_path = options.work_path().empty() ? container.criu_work() : options.work_path();
  arguments.parent_path = options.parent_path();
  arguments.leave_running = !options.exit();
  arguments.open_tcp = options.open_tcp();
  arguments.external_unix_sockets = options.external_unix_sockets();
  arguments.terminal = options.terminal();
  arguments.file_locks = options.file_locks();
  arguments.empty_namespaces = {options.empty_namespaces().begin(),
                                options.empty_namespaces().end()};
  arguments.cgroups_mode = options.cgroups_mode();
  return arguments;
}

// What CRIU has to say outlives its work folder: the error names where.
Error with_dump(Error error, const std::string& work, const std::string& bundle) {
  const std::string kept = bundle + "/criu-dump.log";
  if (const auto dump = oci::read_file(work + "/dump.log", kMaxDump))
    (void)oci::write_file_atomic(kept, *dump, 0600);
  error.what = error.what.substr(0, error.what.find('\n')) + " path= " + kept;
  return error;
}

}  // namespace

void checkpoint_container(Tasks& tasks, const std::shared_ptr<Container>& container,
                          const containerd::task::CheckpointTaskRequest& request,
                          ttrpc::Call call) {
  if (container->guarded)
    return call.fail(Code::FailedPrecondition,
                     "container " + container->id +
                         " is supervised and cannot be checkpointed: CRIU cannot save a seccomp "
                         "listener; set the annotation moat.dev/mode to off");
  const auto options = options_of(request.options());
  if (!options) return call.fail(options.error());
  const auto owed = std::make_shared<ttrpc::Call>(std::move(call));
  container->init->turnstile.enter([&tasks, container, owed, options = *options,
                                    path = request.path()](Turnstile::Ticket ticket) {
    auto allowed = check(container->init->state, Request::Checkpoint);
    if (!allowed) return owed->fail(std::move(allowed.error()));
    const oci::RuncCheckpoint arguments = arguments_of(options, *container, path);
    // A folder that somebody chose is not ours to remove.
    const bool own_work = options.work_path().empty() && container->options.criu_work_path.empty();
    if (auto made = oci::make_dirs(arguments.work_path, 0711); !made)
      return owed->fail(as_runtime_error(std::move(made.error())));
    oci::RuncCall runtime{
        oci::runc_checkpoint(container->runc, arguments), container->runc.log, {}};
    runtime.quote_output = true;
    const auto held = std::make_shared<Turnstile::Ticket>(std::move(ticket));
    tasks.run(std::move(runtime),
              [container, owed, held, own_work, work = arguments.work_path](Status status) {
                if (!status)
                  status = fail(with_dump(std::move(status.error()), work, container->bundle));
                if (own_work) (void)oci::remove_tree(work);
                if (status) return owed->ok();
                owed->fail(std::move(status.error()));
              });
  });
}

}  // namespace moat::shim
