// The fanotify side of a watched container: which files are really reached, and when a model is.
#include <algorithm>

#include "oci/sys.h"
#include "shim/supervise/watched.h"

namespace moat::shim {

namespace {
constexpr int kMaxDepth = 64;                 // of the process tree above a session's process
constexpr std::size_t kMaxExecuting = 16384;  // static programs stay until their thread's next one
}  // namespace

void Watched::on_opens() {
  parts_.loop.favour(group_->fd());
  group_->read(parts_.journal, [this](OpenEvent event, HeldEvent held) {
    on_open(std::move(event), std::move(held));
  });
}

bool Watched::is_model(const std::string& path) const {
  return model_paths_.contains(path);
}

// What the phase allows a session may not be.
bool Watched::sessions_differ() const {
  return policy_.session_boundary() != nullptr &&
         std::ranges::any_of(ears_, [](const Ear& ear) { return ear.session; });
}

const Watched::Ear* Watched::session_of(pid_t pid) const {
  for (int depth = 0; depth < kMaxDepth && pid > 1 && pid != init_; ++depth) {
    for (const Ear& ear : ears_)
      if (ear.session && ear.pid == pid && ear.start_time == oci::start_time_of(pid)) return &ear;
    pid = parent_of(pid);
  }
  return nullptr;
}

void Watched::on_open(OpenEvent event, HeldEvent held) {
  ++tally_->open_events;
  if (!root_.empty()) event.path = below_root(std::move(event.path), root_);
  const bool anybodys = !sessions_differ();
  if (anybodys && !event.exec && allowed_opens_.knows(in_force(), event.path)) {
    ++tally_->phase_opens;
    std::move(held).allow();
    return;
  }
  event.interpreter = event.exec && executing_.erase(event.tid) != 0;
  // In `init` only the model mounts are marked, so an event is a model's whatever its name says.
  const bool model = in_force() == policies::Phase::Init || is_model(event.path);
  const policies::OpenFacts facts{event.path, event.exec, event.interpreter};
  // Whoever asks: what the phase allows and is no model needs no look at the asker.
  if (!model && anybodys && decide(policy_, in_force(), facts).allowed) {
    if (!event.exec) allowed_opens_.add(in_force(), event.path);
    ++tally_->phase_opens;
    let_through(event, std::move(held));
    return;
  }
  const pid_t pid = thread_group_of(event.tid);
  const std::string cgroups = cgroups_of(event.tid);
  // Gone, and then nobody hears it; or we could not look, for want of a descriptor: no stranger.
  if (cgroups.empty()) {
    if (model && adopted_.mode == policies::Mode::Enforce)
      std::move(held).deny();
    else
      conclude(event, std::move(held), asker_of(nullptr));
    return;
  }
  const Ear* session = session_of(pid);
  // Once a session runs its own program it is the runtime's no longer, though still its child.
  const bool bootstrap = session == nullptr
                             ? is_runtime_bootstrap(pid, parts_.shim, membership_)
                             : session->pid == pid && program_of(pid) == session->runtime_exe;
  if (!membership_.contains(cgroups) || bootstrap) {
    ++tally_->strangers;
    std::move(held).allow();
    return;
  }
  if (session == nullptr) ++tally_->phase_opens;
  // Also for a session: from its first open on untrusted bytes are inside, whoever holds them.
  if (model && (session == nullptr || in_force() == policies::Phase::Init)) {
    step(policies::ModelOpened{});
    // The open waits until the boundary of `load` is in force: from here on untrusted bytes are in.
    if (lifecycle_.pending() && lifecycle_.phase() == policies::Phase::Init) {
      held_.emplace_back(event, std::move(held));
      return;
    }
    // Without a boundary in force no untrusted byte gets in; audit never stands in the way.
    if (lifecycle_.phase() == policies::Phase::Init && adopted_.mode == policies::Mode::Enforce) {
      std::move(held).deny();
      return;
    }
  }
  answer(event, std::move(held), session);
}

// Of an execve that was asked about, what follows a program is what the kernel opens for it.
void Watched::let_through(const OpenEvent& event, HeldEvent held) {
  if (event.exec && !event.interpreter) {
    if (executing_.size() >= kMaxExecuting) executing_.clear();  // their loaders are refused
    executing_.insert(event.tid);
  }
  std::move(held).allow();
}

void Watched::answer(const OpenEvent& event, HeldEvent held, const Ear* session) {
  if (session != nullptr && policy_.sessions() == policies::Sessions::Allow)
    std::move(held).allow();
  else
    conclude(event, std::move(held), asker_of(session));
}

void Watched::conclude(const OpenEvent& event, HeldEvent held, const Asker& asker) {
  const policies::OpenFacts facts{event.path, event.exec, event.interpreter};
  const policies::Decision decision = decide_for(asker, facts);
  const policies::Outcome outcome = policies::outcome(policy_, asker.mode, decision);
  if (decision.quiet) ++tally_->quiet;
  if (outcome.report != policies::Report::Nothing) {
    policies::Event violation = blank(policies::EventKind::Violation);
    violation.syscall = event.exec ? "execve" : "open";
    violation.exec_id = asker.exec_id;
    report(decision, outcome, event.tid, std::move(violation));
  }
  // The kernel does not say whether it still waits: then at least nobody else's process dies.
  punish(outcome.verdict, event.tid, [&] { return membership_.contains(cgroups_of(event.tid)); });
  if (std::holds_alternative<policies::Continue>(outcome.verdict))
    let_through(event, std::move(held));
  else
    std::move(held).deny();
}

void Watched::release_held(bool allowed) {
  if (allowed && lifecycle_.pending() && lifecycle_.phase() == policies::Phase::Init) return;
  for (auto& [event, held] : std::exchange(held_, {})) {
    if (allowed)
      answer(event, std::move(held), session_of(thread_group_of(event.tid)));
    else
      std::move(held).deny();
  }
}

}  // namespace moat::shim
