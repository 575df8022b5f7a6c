#include "shim/supervise/supervised_guard.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "hooks/leftovers.h"
#include "oci/holdable.h"
#include "oci/known_calls.h"
#include "oci/places.h"
#include "oci/spawn.h"
#include "oci/sys.h"
#include "shim/log.h"
#include "shim/supervise/event_file.h"
#include "shim/supervise/kernel_names.h"
#include "shim/supervise/node_sockets.h"
#include "shim/supervise/readonly_probe.h"
#include "shim/supervise/state_dir.h"

namespace moat::shim {

namespace {

constexpr std::chrono::milliseconds kStatusDeadline{500};
// More losses than this in so many milliseconds are no accident.
constexpr std::size_t kMaxLosses = 10;
constexpr std::int64_t kLossWindow = 10000;
constexpr std::chrono::milliseconds kKeeperPause{100};  // a keeper that cannot live costs little
constexpr std::chrono::milliseconds kProbePause{1000}, kProbeDeadline{5000};
constexpr std::size_t kMaxSocketPath = 107;  // sun_path with its NUL is 108

#if defined(__x86_64__)
constexpr policies::Arch kArch = policies::Arch::X86_64;
#else
constexpr policies::Arch kArch = policies::Arch::Arm64;
#endif

std::string rootfs_of(const NewContainer& container, const oci::Spec& spec) {
  const std::string root = spec.root_path();
  return root.starts_with('/') ? root : container.bundle + "/" + root;
}

bool has_label(const oci::Spec& spec) {
  for (const char* key : {"/process/apparmorProfile", "/process/selinuxLabel"}) {
    const nlohmann::json::json_pointer pointer(key);
    if (spec.json().contains(pointer) && spec.json()[pointer] != "") return true;
  }
  return false;
}

std::vector<std::string> devices_of(const oci::Spec& spec) {
  std::vector<std::string> paths;
  const nlohmann::json::json_pointer pointer("/linux/devices");
  if (!spec.json().contains(pointer) || !spec.json()[pointer].is_array()) return paths;
  for (const auto& device : spec.json()[pointer])
    if (device.is_object() && device.value("path", nlohmann::json()).is_string())
      paths.push_back(device["path"]);
  return paths;
}

Result<oci::Spec> read_spec(const std::string& path) {
  auto text = oci::read_file(path);
  if (!text) return fail(std::move(text.error()));
  return oci::Spec::parse(*text);
}

Result<UniqueFd> open_event_file(const std::string& path) {
  auto file = oci::make_dirs(path.substr(0, path.rfind('/')), 0750).and_then([&] {
    return oci::open_file(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0640);
  });
  if (file) return file;
  return fail(std::move(file.error())
                  .in("events cannot be written (set logDir in the node configuration to a folder "
                      "that root can write)"));
}

std::string find_hook(const oci::NodeConfig& config) {
  std::string path = config.hook;
  if (path.empty()) {
    char self[4096];
    const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
    const std::string_view exe(self, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    path = std::string(exe.substr(0, exe.rfind('/') + 1)) + "moat-hook";
  }
  return path.starts_with('/') && ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

// Sessions are let through by the programs: where they are to be reported they must be asked.
bool left_to_programs(const oci::Selection& selection,
                      const std::vector<policies::NetworkProgram>& programs) {
  return selection.mode == policies::Mode::Enforce && !programs.empty() &&
         selection.policy.sessions() == policies::Sessions::Allow &&
         policies::leaves_addresses_to_programs(selection.policy) &&
         NetworkHooks::usable(programs).has_value();
}

void plan_phases(const policies::Policy& policy, GuardedPlan& plan) {
  for (const policies::Phase phase : policies::kPhases)
    plan.asks_opens[static_cast<std::size_t>(phase)] = policies::tells_opens_apart(policy, phase);
  for (const policies::SyscallRow* row : policies::gated(policy, policies::Phase::Load))
    plan.gated_calls += (plan.gated_calls.empty() ? "" : ",") + std::string(row->name);
  plan.policy = policy;
  plan.apart = policies::tells_addresses_apart(policy);
  plan.hold_unix = policies::must_hold_unix(policy);
  plan.names_unix = policies::names_unix(policy);
}

hooks::Adopt adoption(const NewContainer& container, const oci::Spec& spec,
                      const oci::Selection& selection) {
  hooks::Adopt message;
  message.container = identity_of(container, spec);
  message.policy_json = policies::to_json(selection.composed);
  message.bindings = selection.bindings;
  message.mode = selection.mode;
  message.policy_digest = "sha256:" + selection.digest;
  message.policy_source = selection.source;
  return message;
}

// Only for who needs them: it takes a look at all types of the kernel.
std::optional<policies::KernelNames> names_for(const policies::Policy& policy) {
  if (!policies::tells_addresses_apart(policy)) return {};
  const auto names = kernel_names();
  return names ? std::optional(*names) : std::nullopt;
}

}  // namespace

SupervisedGuard::SupervisedGuard(oci::Loop& loop, Reaper& reaper, oci::NodeConfig config)
    : loop_(loop),
      reaper_(reaper),
      config_(std::move(config)),
      link_(
          loop, reaper, [this](const hooks::Message& message) { on_message(message); },
          [this] { supervisor_lost(); }),
      keeper_(loop, reaper, [this] { loop_.after(kKeeperPause, [this] { start_keeper(); }); }) {}

// To a client "not found" would mean the container: what is missing here is something that its
// configuration names, whatever errno told so.
Result<std::unique_ptr<Guarded>> SupervisedGuard::prepare(const NewContainer& container) {
  auto guarded = guard(container);
  if (guarded) return guarded;
  Error error = std::move(guarded.error());
  if (error.code != Code::InvalidArgument) error.code = Code::FailedPrecondition;
  error.err = 0;
  return fail(std::move(error));
}

Result<std::unique_ptr<Guarded>> SupervisedGuard::guard(const NewContainer& container) {
  const std::string config = container.bundle + "/config.json";
  auto spec = read_spec(config);
  if (!spec) return fail(std::move(spec.error()));
  const std::string rootfs = rootfs_of(container, *spec);
  auto selection = oci::select(*spec, config_, rootfs);
  if (!selection) return fail(std::move(selection.error()));
  if (!*selection) return std::unique_ptr<Guarded>();

  oci::Selection& chosen = **selection;
  const bool enforce = chosen.mode == policies::Mode::Enforce;
  if (auto holdable = oci::check_holdable(*spec); enforce && !holdable)
    return fail(std::move(holdable.error()));
  auto places = oci::find_places(*spec, rootfs, chosen.policy, chosen.mode);
  if (!places) return fail(std::move(places.error()));
  if (auto bound = oci::bind_places(chosen, *places); !bound) return fail(Error(bound.error()));

  oci::RewriteInput input;
  input.mode = chosen.mode;
  input.arch = kArch;
  if (chosen.mode == policies::Mode::Enforce) input.known_calls = oci::known_calls(kArch);
  auto programs = policies::network_programs(chosen.policy, chosen.mode, names_for(chosen.policy));
  if (!programs) return fail(std::move(programs.error()));
  const bool unasked = left_to_programs(chosen, *programs);
  input.plan = policies::compile(chosen.policy, chosen.mode, unasked);
  input.listener_path = hooks::listener_path(config_.state_dir, container.ns, container.id);
  if (input.listener_path.size() > kMaxSocketPath)
    return fail(Code::FailedPrecondition,
                "the socket for the seccomp listener, " + input.listener_path + ", has " +
                    std::to_string(input.listener_path.size()) + " bytes and may have " +
                    std::to_string(kMaxSocketPath) +
                    ": set a shorter stateDir in the node configuration");
  input.listener_metadata = container.id;
  input.hook = find_hook(config_);
  input.state_dir = config_.state_dir;
  input.rootfs = rootfs;
  input.mount_points = places->mount_points;
  input.models = places->models;
  input.scratch = places->scratch;
  auto rewritten = oci::rewrite(*spec, input);
  if (!rewritten) return fail(std::move(rewritten.error()));
  if (input.hook.empty())
    log_info("moat-hook is not installed: no hook cleans up should moat's processes be killed",
             {{"id", container.id}});
  for (const auto* notes : {&places->notes, &rewritten->notes})
    for (const std::string& note : *notes) log_info(note, {{"id", container.id}});

  if (auto made = oci::make_dirs(config_.state_dir, 0700); !made) return fail(Error(made.error()));
  auto events = open_event_file(event_file_of(identity_of(container, *spec), config_.log_dir));
  if (!events) return fail(std::move(events.error()));
  hooks::Adopt message = adoption(container, *spec, chosen);
  if (auto adopted = adopt(message, *events); !adopted) return fail(Error(adopted.error()));
  if (enforce) tell_loosely_held(container.id, *spec);
  GuardedPlan plan;
  plan.container = container;
  plan.adopt = std::move(message);
  plan.events = std::move(*events);
  plan.err = chosen.composed.on_violation.value_or(policies::Reaction{}).err;
  plan.mode = chosen.mode;
  plan.fail_open = chosen.fail_open;
  if (enforce && !readonly_) readonly_ = try_readonly_mount();
  if (readonly_) plan.readonly = *readonly_;
  plan.model_mounts = std::move(rewritten->model_mounts);
  plan.islands = std::move(rewritten->islands);
  plan.listener_path = input.listener_path;
  plan.keep_proc = has_label(*spec);
  plan.held = std::move(places->held);
  plan.programs = std::move(*programs);
  plan.unasked = unasked;
  plan.devices = devices_of(*spec);
  plan.notes = node_sockets_in(*spec);
  plan_phases(chosen.policy, plan);
  const auto kill = [this](const std::string& id) {
    if (actions_.kill) actions_.kill(id);
  };
  auto guarded = GuardedContainer::create({loop_, reaper_, link_, keeper_, kill}, std::move(plan),
                                          [this](const std::string& id) { container_gone(id); });
  if (!guarded) {
    (void)link_.send(hooks::Forget{container.id});
    return fail(std::move(guarded.error()));
  }
  if (auto written = oci::write_file_atomic(config, spec->dump(), 0600); !written)
    return fail(Error(written.error()));
  containers_[container.id] = guarded->get();
  loop_.post([this] { start_keeper(); });  // while the runtime is at work
  tell_missing_soon(container.id);
  return std::unique_ptr<Guarded>(std::move(*guarded));
}

// As events of the container, which nobody else writes.
void SupervisedGuard::tell_loosely_held(const std::string& id, const oci::Spec& spec) {
  std::vector<std::string> notes = oci::loosely_held(spec);
  if (has_label(spec))
    notes.emplace_back(
        "/proc stays writable, as the runtime writes the container's label there at each exec: "
        "sessions are not held apart from the container's own processes of the same user");
  for (std::string& note : notes) (void)link_.send(hooks::Network{id, false, std::move(note)});
}

Status SupervisedGuard::adopt(hooks::Adopt& message, const UniqueFd& events) {
  if (auto running = link_.ensure(); !running) return running;
  message.number = link_.next_number();
  return link_.send(message, {events.raw()});
}

void SupervisedGuard::on_message(const hooks::Message& message) {
  if (const auto* enter = std::get_if<hooks::Enter>(&message)) {
    const auto found = containers_.find(enter->id);
    if (found != containers_.end()) found->second->enter(enter->phase);
  } else if (const auto* freeze = std::get_if<hooks::Freeze>(&message)) {
    if (containers_.contains(freeze->id) && actions_.freeze) actions_.freeze(freeze->id);
  } else if (const auto* terminate = std::get_if<hooks::Terminate>(&message)) {
    if (containers_.contains(terminate->id) && actions_.kill) actions_.kill(terminate->id);
  }
}

void SupervisedGuard::supervisor_lost() {
  for (const auto& [id, container] : containers_) container->settle_questions(link_.journal());
  if (containers_.empty() || restart()) return;
  const auto orphans = containers_;
  for (const auto& [id, container] : orphans) {
    log_error("the supervisor is gone: the container is killed, because nothing may run unanswered",
              {{"id", id}});
    container->report_loss();
    if (actions_.kill) actions_.kill(id);
  }
}

// What has been asked meanwhile waits in the kernel, as the shim holds every descriptor as well.
bool SupervisedGuard::restart() {
  const std::int64_t now = oci::monotonic_ms();
  while (!losses_.empty() && losses_.front() < now - kLossWindow) losses_.pop_front();
  losses_.push_back(now);
  if (losses_.size() > kMaxLosses) return false;
  if (auto running = link_.ensure(); !running) {
    log_error("no new supervisor: " + running.error().what, {});
    return false;
  }
  for (const auto& [id, container] : containers_) container->hand_over();
  keeper_.send({KeeperOrder::Kind::Supervisor, 0, 0, 0}, {link_.pidfd()});
  log_warning("the supervisor was lost and has been started again", {});
  return true;
}

// Not in the way of anything: without one, the shim and the supervisor still guard each other.
void SupervisedGuard::start_keeper() {
  if (keeper_.running() || containers_.empty() || link_.pid() == 0) return;
  if (auto started = keeper_.start(link_); !started) {
    log_warning("no keeper", {{"error", started.error().what}});
    return;
  }
  for (const auto& [id, container] : containers_) container->hand_to_keeper();
}

// Each mechanism is tried, not assumed: once a shim, beside the start and not in its way.
void SupervisedGuard::tell_missing_soon(const std::string& id) {
  loop_.after(kProbePause, [this, id] { tell_missing(id); });
}

void SupervisedGuard::tell_missing(const std::string& id) {
  const auto found = containers_.find(id);
  if (found == containers_.end()) return;
  if (missing_) {
    if (!missing_->empty()) found->second->notice("warning", "missing on this node: " + *missing_);
    return;
  }
  tell_missing_soon(id);  // by then they will have been made
  if (std::exchange(probing_, true)) return;
  oci::Command command;
  command.path = "/proc/self/exe";
  command.argv = {"containerd-shim-moat-v2", "probes"};
  command.cwd = "/";
  auto hold = std::make_shared<Reaper::Hold>(reaper_.hold());
  oci::run(loop_, std::move(command), {}, kProbeDeadline,
           [this, hold](const Result<oci::RunResult>& run) {
             missing_ = run && !run->timed_out && run->exit.status == 0 ? run->output
                                                                        : "no probe could be made";
             while (missing_->ends_with('\n')) missing_->pop_back();
             std::ranges::replace(*missing_, '\n', ';');
           });
}

void SupervisedGuard::container_gone(const std::string& id) {
  containers_.erase(id);
  if (containers_.empty()) keeper_.stop();
}

void SupervisedGuard::ask_status(std::function<void(std::vector<hooks::ContainerStatus>)> done) {
  link_.ask([](std::uint64_t ticket) { return hooks::Ask{ticket}; }, kStatusDeadline,
            [done = std::move(done)](const hooks::Message* message) {
              const auto* told = message ? std::get_if<hooks::Told>(message) : nullptr;
              done(told ? told->containers : std::vector<hooks::ContainerStatus>());
            });
}

pid_t SupervisedGuard::init_of(const std::string& id) const {
  const auto found = containers_.find(id);
  return found == containers_.end() ? 0 : found->second->init();
}

}  // namespace moat::shim
