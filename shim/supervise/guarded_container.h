// One supervised container, as the shim sees it: makes what needs privilege and hands it over.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "oci/loop.h"
#include "oci/places.h"
#include "policies/document.h"
#include "shim/supervise/ending.h"
#include "shim/supervise/guard.h"
#include "shim/supervise/keeper_link.h"
#include "shim/supervise/listener_socket.h"
#include "shim/supervise/mount_watch.h"
#include "shim/supervise/network_hooks.h"
#include "shim/supervise/steps.h"
#include "shim/supervise/supervisor_link.h"

namespace moat::shim {

struct GuardedPlan {
  NewContainer container;
  hooks::Adopt adopt;  // what each supervisor of it is told first
  UniqueFd events;
  int err = EACCES;  // the policy's, for who asked a supervisor that did not live to answer
  policies::Mode mode = policies::Mode::Audit;
  std::vector<std::string> model_mounts;  // marked from the start: their first open begins `load`
  std::vector<std::string> islands;       // stay writable from `load` on
  std::string listener_path;
  bool keep_proc = false;            // a label is written to /proc by the runtime at each exec
  std::vector<oci::HeldPlace> held;  // compared with what the runtime has mounted
  std::vector<policies::NetworkProgram> programs;
  bool fail_open = false;  // starts without what its promises need, and says so
  Status readonly;         // whether mounts can be turned read-only here
  std::array<bool, policies::kPhases.size()> asks_opens{};  // by phase
  std::string gated_calls;  // that `load` does not let through: must have ended when it begins
  bool apart = false;       // the policy tells addresses apart,
  bool hold_unix = false;   // needs Unix sockets to be held for it,
  bool names_unix = false;  // names some of them
  bool unasked = false;  // the filter leaves addresses to the programs: nothing runs without them
  std::optional<policies::Policy> policy;
  std::vector<std::string> devices;  // linux.devices: where nodes are, beside /dev
  std::vector<std::string> notes;    // of its mounts, for the supervisor to tell
};

struct GuardedParts {
  oci::Loop& loop;
  Reaper& reaper;
  SupervisorLink& link;
  KeeperLink& keeper;
  std::function<void(const std::string& id)> kill;
};

class GuardedContainer : public Guarded {
 public:
  using OnGone = std::function<void(const std::string& id)>;

  static Result<std::unique_ptr<GuardedContainer>> create(const GuardedParts& parts,
                                                          GuardedPlan plan, OnGone on_gone);
  ~GuardedContainer() override;

  Status created(pid_t init) override;
  void started(std::function<void(Status)> done) override;
  void session_starting(const std::string& exec_id, pid_t runtime) override;
  void session_started(const std::string& exec_id, pid_t pid) override;
  void changed() override;
  void signalling(int signal, std::function<void()> then) override;

  void enter(policies::Phase phase);  // the supervisor asks for a transition

  // The supervisor is gone: what it had not answered is answered, then another is told everything.
  void settle_questions(JournalPage& journal);
  void hand_over();
  void hand_to_keeper();                                   // a new one: all of it
  void notice(std::string severity, std::string message);  // a health event
  void report_loss();                                      // there will be no other
  [[nodiscard]] const std::string& id() const { return plan_.container.id; }
  [[nodiscard]] pid_t init() const { return init_; }

 private:
  GuardedContainer(const GuardedParts& parts, GuardedPlan plan, OnGone on_gone)
      : loop_(parts.loop),
        reaper_(parts.reaper),
        link_(parts.link),
        keeper_(parts.keeper),
        kill_(parts.kill),
        plan_(std::move(plan)),
        on_gone_(std::move(on_gone)) {}
  struct Kept {
    hooks::Listen message;
    UniqueFd listener;  // a second holder: without one its filter answers ENOSYS for ever
  };
  void on_listener(Handover handover);
  void keep(hooks::Listen message, UniqueFd listener);
  Status lost(std::string_view mechanism, std::string_view promise, const Error& why);
  void tell_watch();
  void tell_network();
  void order(KeeperOrder::Kind kind, std::uint32_t number, const std::vector<int>& fds);
  std::string take_session(pid_t runtime);
  void settle(Status status);  // answers started()
  Status guard_opens();
  Status place_marks();
  Status hold_network();
  Status add_devices();
  Status keep_network();
  void admit_session(pid_t pid);
  // entering.cc
  using OnRun = std::function<void(const Result<oci::RunResult>&)>;
  void run_role(std::vector<std::string> arguments, std::chrono::milliseconds deadline, OnRun done);
  static Status outcome_of(const Result<oci::RunResult>& run, const char* late);
  Step readonly_step();
  Step marks_step(policies::Phase phase);
  Step network_step(policies::Phase phase);
  Step decisions_step(policies::Phase phase);
  Step settled_step();
  void turn_readonly(Step::Done done);
  Status mark_for(policies::Phase phase);
  void look_back(std::chrono::milliseconds patience, std::function<void(Result<std::string>)> done);
  void tell_carried();
  void entered(policies::Phase phase, const Status& status, std::vector<std::string> cut);
  void watch_mounts();
  void mounts_changed(const MountChanges& changes);
  void hold_mounts();
  Status mark_new();
  // cutting.cc
  using Cut = std::shared_ptr<std::vector<std::string>>;
  [[nodiscard]] bool must_cut(policies::Phase phase) const;
  Step cut_step(policies::Phase phase, Cut cut);

  oci::Loop& loop_;
  Reaper& reaper_;
  SupervisorLink& link_;
  KeeperLink& keeper_;
  std::function<void(const std::string& id)> kill_;
  GuardedPlan plan_;
  OnGone on_gone_;
  std::unique_ptr<ListenerSocket> socket_;
  UniqueFd group_;  // a second holder: opens must not be let through when the supervisor dies
  std::unique_ptr<NetworkHooks> network_;
  hooks::Network network_word_;  // what each supervisor is told of it
  pid_t init_ = 0;
  std::uint64_t init_start_ = 0;
  Ending ending_;
  std::list<Kept> kept_;  // the listeners that are still in use
  std::uint32_t group_number_ = 0;
  policies::Phase phase_ = policies::Phase::Init;  // whose boundary is in force
  std::int64_t phase_since_ = 0;
  bool loading_ = false;         // the steps to `load` are being made
  bool mounts_changed_ = false;  // meanwhile
  std::unique_ptr<MountWatch> mounts_;
  int last_signal_ = 0;
  bool listening_ = false;
  struct PendingSession {
    std::string exec_id;
    pid_t runtime = 0;
  };
  std::vector<PendingSession> pending_sessions_;  // whose listener has not come yet
  std::function<void(Status)> started_;
  oci::Loop::TimerId started_deadline_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace moat::shim
