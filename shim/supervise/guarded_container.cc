#include "shim/supervise/guarded_container.h"

#include <algorithm>

#include "oci/sys.h"
#include "shim/log.h"
#include "shim/supervise/device_nodes.h"
#include "shim/supervise/marks.h"
#include "shim/supervise/unix_paths.h"

namespace moat::shim {

using policies::Phase;

namespace {

// runc has handed it over before it returned, crun's container does so before its first program.
constexpr std::chrono::milliseconds kListenerDeadline{2000};
constexpr std::chrono::milliseconds kSignalDeadline{1000};

}  // namespace

Result<std::unique_ptr<GuardedContainer>> GuardedContainer::create(const GuardedParts& parts,
                                                                   GuardedPlan plan,
                                                                   OnGone on_gone) {
  std::unique_ptr<GuardedContainer> self(
      new GuardedContainer(parts, std::move(plan), std::move(on_gone)));
  auto socket = ListenerSocket::create(
      parts.loop, self->plan_.listener_path,
      [raw = self.get()](Handover handover) { raw->on_listener(std::move(handover)); },
      [raw = self.get()](const std::string& what) {
        log_warning(what, {{"id", raw->id()}});
      });
  if (!socket) return fail(std::move(socket.error()));
  self->socket_ = std::move(*socket);
  self->phase_since_ = oci::monotonic_ms();
  return self;
}

GuardedContainer::~GuardedContainer() {
  *alive_ = false;
  for (const Kept& kept : kept_) loop_.forget(kept.listener.raw());
  loop_.cancel(started_deadline_);
  (void)link_.send(hooks::Forget{id()});
  order(KeeperOrder::Kind::Forget, 0, {});
  on_gone_(id());
}

// One "creating" hand-over and one "running" for each exec that is being started; anything else is
// not ours, and its listener is closed: its filter then refuses.
void GuardedContainer::on_listener(Handover handover) {
  const bool session = handover.state.status != "creating";
  const bool expected = session ? !pending_sessions_.empty() : !listening_;
  if (handover.state.id != id() || handover.state.metadata != id() || !expected) {
    log_warning("an unexpected seccomp listener was refused", {{"id", id()}});
    return;
  }
  hooks::Listen message;
  message.id = id();
  message.pid = handover.state.pid;
  message.session = session;
  if (session) {
    message.exec_id = take_session(handover.runtime);
    admit_session(handover.state.pid);
  } else {
    listening_ = true;
  }
  keep(std::move(message), std::move(handover.listener));
  if (!session && started_) settle({});
}

// Execs start side by side. Which one a runtime works for, its number says; that of a child of it
// (a runtime behind a script), its command line.
std::string GuardedContainer::take_session(pid_t runtime) {
  auto found = std::ranges::find(pending_sessions_, runtime, &PendingSession::runtime);
  if (found == pending_sessions_.end()) {
    const std::string line =
        oci::read_file("/proc/" + std::to_string(runtime) + "/cmdline", 64U << 10).value_or("");
    found = std::ranges::find_if(pending_sessions_, [&](const PendingSession& session) {
      return line.find("/" + session.exec_id + ".pid" + '\0') != std::string::npos;
    });
  }
  if (found == pending_sessions_.end() && pending_sessions_.size() > 1) {
    pending_sessions_.pop_back();  // one of them; SessionStarted will tell which
    return {};
  }
  const auto at = found == pending_sessions_.end() ? pending_sessions_.begin() : found;
  std::string exec_id = std::move(at->exec_id);
  pending_sessions_.erase(at);
  return exec_id;
}

Status GuardedContainer::created(pid_t init) {
  auto same = oci::verify_places(plan_.held, init);
  plan_.held.clear();
  if (!same) return same;
  init_ = init;
  init_start_ = oci::start_time_of(init);
  ending_ = Ending::of(init);
  order(KeeperOrder::Kind::Container, 0, ending_.raw());
  for (std::string& note : plan_.notes)
    (void)link_.send(hooks::Network{id(), false, std::move(note)});
  plan_.notes.clear();
  if (plan_.mode == policies::Mode::Enforce && !plan_.readonly) {
    const Status kept =
        lost("read-only mounts", "writes outside the declared places fail", plan_.readonly.error());
    if (!kept) return kept;
  }
  if (auto guarded = guard_opens(); !guarded) return guarded;
  watch_mounts();
  return hold_network();
}

void GuardedContainer::started(std::function<void(Status)> done) {
  started_ = std::move(done);
  if (listening_) {
    settle({});
    return;
  }
  started_deadline_ = loop_.after(kListenerDeadline, [this] {
    const Error why{Code::FailedPrecondition, 0,
                    "the runtime did not hand over the seccomp listener; moat needs runc 1.1 or "
                    "newer, or crun 0.19 or newer, built with seccomp"};
    settle(lost("a seccomp listener", "system calls are decided while they wait", why));
  });
}

void GuardedContainer::settle(Status status) {
  loop_.cancel(started_deadline_);
  if (auto done = std::exchange(started_, nullptr)) done(std::move(status));
}

// What its policy promises cannot be kept. In `enforce` it does not start then, unless it was said
// that it may.
Status GuardedContainer::lost(std::string_view mechanism, std::string_view promise,
                              const Error& why) {
  const std::string text = std::string(mechanism) + " cannot be had here: " + why.what +
                           "; the promise that is lost: " + std::string(promise);
  if (plan_.mode != policies::Mode::Enforce || plan_.fail_open) {
    notice(plan_.mode == policies::Mode::Enforce ? "critical" : "warning", text);
    return {};
  }
  return fail(Code::FailedPrecondition,
              text +
                  " (moatctl doctor tries this node; to start all the same: moat.dev/mode: audit, "
                  "or moat.dev/failure-policy: open where the node's failurePolicy lets a pod)");
}

Status GuardedContainer::guard_opens() {
  const Status marked = place_marks();
  if (marked) return {};
  if (!group_.valid()) tell_watch();  // the supervisor has to know whose container it is
  return lost("fanotify permission events",
              "reads and programs are decided on the file itself, and a model's first open begins "
              "load",
              marked.error());
}

Status GuardedContainer::place_marks() {
  auto group = make_group();
  if (!group) return fail(std::move(group.error()));
  if (auto marked = mark_points(group->raw(), init_, plan_.model_mounts, plan_.islands); !marked)
    return marked;
  group_ = std::move(*group);
  group_number_ = link_.next_number();
  tell_watch();
  order(KeeperOrder::Kind::Group, group_number_, {group_.raw()});
  return {};
}

// What the policy's device paths stand for, as the runtime has made them.
Status GuardedContainer::add_devices() {
  const auto nodes = device_nodes(init_, plan_.devices);
  if (!nodes) return fail(Error(nodes.error()));
  auto programs = policies::device_programs(*plan_.policy, plan_.mode, *nodes);
  if (!programs) return fail(std::move(programs.error()));
  plan_.programs.insert(plan_.programs.end(), programs->begin(), programs->end());
  for (const policies::DeviceNode& node : *nodes)
    network_word_.devices.push_back(policies::line_of(node));
  return {};
}

// Before the container's own program runs: nothing is allowed until the first phase is entered.
Status GuardedContainer::hold_network() {
  constexpr auto kDevices = "a cgroup program for devices";
  constexpr auto kByNumber = "devices are decided by their numbers, not by claimed paths";
  network_word_.id = id();
  if (auto added = add_devices(); !added)
    if (auto kept = lost(kDevices, kByNumber, added.error()); !kept) return kept;
  if (plan_.programs.empty()) return {};
  const bool devices = plan_.programs.back().hook == policies::NetworkHook::Device;
  auto attached = own_cgroup_of(init_).and_then(
      [&](const std::string& folder) { return NetworkHooks::attach(folder, plan_.programs); });
  plan_.programs.clear();
  if (!attached && plan_.unasked)
    return fail(
        std::move(attached.error()).in("the addresses that the policy names cannot be held to"));
  if (!attached)
    return lost("cgroup BPF",
                "addresses are told apart, sockets made before load are held to the phase, and "
                "devices are decided by their numbers",
                attached.error());
  network_ = std::move(*attached);
  network_->enter(Phase::Init);
  if (devices && !network_->holds_devices()) {
    const Error why{Code::Unimplemented, 0, "this kernel takes none"};
    if (auto kept = lost(kDevices, kByNumber, why); !kept) return kept;
  }
  // In audit nothing is refused, so that nothing can slip through with what is let go.
  const bool unix_held =
      plan_.mode != policies::Mode::Enforce || !plan_.hold_unix || network_->holds_unix();
  network_word_.holds = plan_.apart && unix_held;
  network_word_.names = network_word_.holds && network_->names_unix();
  if (plan_.apart && !network_word_.holds)
    network_word_.problem =
        "addresses that the policy names are refused: this kernel cannot hold Unix sockets, which "
        "would be let through with them (Linux 6.7; or allow unix:*)";
  else if (plan_.names_unix && !network_word_.names)
    network_word_.problem =
        "Unix sockets that the policy names are refused: this kernel does not let a program read "
        "their names (Linux 6.7 with BTF; or allow unix:*)";
  tell_network();
  return {};
}

Status GuardedContainer::keep_network() {
  if (!network_) return {};
  const auto repaired = network_->repair();
  if (!repaired) return fail(Error(repaired.error()).in("network programs"));
  if (!*repaired) return {};
  return link_.send(
      hooks::Network{id(), false, "network programs had been detached, and were put back"});
}

void GuardedContainer::changed() {
  const Status kept = keep_network();
  if (kept) return;
  log_error("the container is killed: nothing holds its network any more",
            {{"id", id()}, {"error", kept.error().what}});
  kill_(id());
}

// Until it runs its own program the session waits for the supervisor, which hears of it after this.
void GuardedContainer::admit_session(pid_t pid) {
  if (!network_) return;
  if (auto admitted = network_->admit(pid); !admitted)
    log_warning("a session is held to the container's network",
                {{"id", id()}, {"error", admitted.error().what}});
}

void GuardedContainer::session_starting(const std::string& exec_id, pid_t runtime) {
  pending_sessions_.push_back({exec_id, runtime});
}

void GuardedContainer::session_started(const std::string& exec_id, pid_t pid) {
  for (Kept& kept : kept_) {
    const bool meant =
        pid > 0 && kept.message.session &&
        (kept.message.pid == pid || (kept.message.pid == 0 && kept.message.exec_id == exec_id));
    if (!meant) continue;
    kept.message.exec_id = exec_id;
    kept.message.pid = pid;
    kept.message.start_time = oci::start_time_of(pid);
  }
  if (pid > 0)
    (void)link_.send(hooks::SessionStarted{id(), exec_id, pid});
  else
    std::erase_if(pending_sessions_, [&](const PendingSession& one) {
      return one.exec_id == exec_id;
    });  // it failed before its listener came
}

void GuardedContainer::signalling(int signal, std::function<void()> then) {
  last_signal_ = signal;
  link_.ask(
      [&](std::uint64_t ticket) {
        return hooks::Signalling{id(), signal, ticket};
      },
      kSignalDeadline, [then = std::move(then)](const hooks::Message*) { then(); });
}

}  // namespace moat::shim
