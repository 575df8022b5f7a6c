// The fanotify side of a watched container: which files are really reached, and when a model is.
#include "oci/sys.h"
#include "shim/supervise/watched.h"

namespace moat::shim {

namespace {
constexpr int kMaxDepth = 64;  // of the process tree above a session's process
}

void Watched::on_opens() {
  group_->read(parts_.journal, [this](OpenEvent event, HeldEvent held) {
    on_open(std::move(event), std::move(held));
  });
}

bool Watched::is_model(const std::string& path) const {
  return model_paths_.contains(path);
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
  if (allowed_opens_.knows(lifecycle_.phase(), event.path, event.exec)) {
    ++tally_->phase_opens;
    std::move(held).allow();
    return;
  }
  // In `init` only the model mounts are marked, so an event is a model's whatever its name says.
  const bool model = lifecycle_.phase() == policies::Phase::Init || is_model(event.path);
  const policies::OpenFacts facts{event.path, event.exec};
  // Whoever asks: what the phase allows and is no model needs no look at the asker.
  if (!model && decide(policy_, lifecycle_.phase(), facts).allowed) {
    allowed_opens_.add(lifecycle_.phase(), event.path, event.exec);
    ++tally_->phase_opens;
    std::move(held).allow();
    return;
  }
  const pid_t pid = thread_group_of(event.tid);
  if (!membership_.contains(cgroups_of(event.tid)) ||
      is_runtime_bootstrap(pid, parts_.shim, membership_)) {
    ++tally_->strangers;
    std::move(held).allow();
    return;
  }
  const Ear* session = session_of(pid);
  if (session != nullptr) {
    if (policy_.sessions() == policies::Sessions::Allow)
      std::move(held).allow();
    else
      conclude(event, std::move(held), asker_of(session));
    return;
  }
  ++tally_->phase_opens;
  if (model) {
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
  conclude(event, std::move(held), asker_of(nullptr));
}

void Watched::conclude(const OpenEvent& event, HeldEvent held, const Asker& asker) {
  const policies::OpenFacts facts{event.path, event.exec};
  const policies::Decision decision = decide(policy_, lifecycle_.phase(), facts);
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
    std::move(held).allow();
  else
    std::move(held).deny();
}

void Watched::release_held(bool allowed) {
  if (allowed && lifecycle_.pending() && lifecycle_.phase() == policies::Phase::Init) return;
  for (auto& [event, held] : std::exchange(held_, {})) {
    if (allowed)
      conclude(event, std::move(held), asker_of(nullptr));
    else
      std::move(held).deny();
  }
}

}  // namespace moat::shim
