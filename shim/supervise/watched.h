// One supervised container, as the supervisor sees it: its listeners, its opens, its phase. Decides
// nothing itself: facts go to the core, verdicts to the kernel, events to the log.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "hooks/message.h"
#include "oci/loop.h"
#include "policies/device_program.h"
#include "policies/lifecycle.h"
#include "policies/verdict.h"
#include "shim/supervise/ending.h"
#include "shim/supervise/event_log.h"
#include "shim/supervise/journal.h"
#include "shim/supervise/listener.h"
#include "shim/supervise/memo.h"
#include "shim/supervise/objects.h"
#include "shim/supervise/process.h"
#include "shim/supervise/record_ring.h"
#include "shim/supervise/shared_state.h"
#include "shim/supervise/tracee.h"

namespace moat::shim {

// What every watched container shares with its siblings.
struct SupervisorParts {
  oci::Loop& loop;
  Journal& journal;
  Reader& reader;
  pid_t shim;
  std::function<void(const hooks::Message&)> tell_shim;
};

// Transitions are carried out by the shim; one that takes longer has failed.
inline constexpr std::chrono::milliseconds kTransitionDeadline{20000};
// Reports a second and container; the rest is counted and said in a drop event.
inline constexpr std::uint64_t kReportsPerSecond = 500;
inline constexpr std::uint64_t kReportsOfALongFile = 1;

class Watched {
 public:
  static Result<std::unique_ptr<Watched>> create(SupervisorParts& parts, hooks::Adopt adopt,
                                                 UniqueFd events);
  ~Watched();

  Status listen(const hooks::Listen& message, UniqueFd listener);
  Status watch(const hooks::Watch& message, UniqueFd group, Ending ending);
  void network(const hooks::Network& message, std::vector<UniqueFd> fds);
  void session_started(const hooks::SessionStarted& message);
  void settle(policies::Phase phase);  // asked for, and in force for all but what waits
  void entered(const hooks::Entered& message);
  void mounted(const hooks::Mounted& message);
  void health(std::string severity, std::string message);
  void signalling(int signal, std::function<void()> ready);
  void kill_all();  // the shim is gone: nothing may run unanswered
  [[nodiscard]] hooks::ContainerStatus status() const;

 private:
  // One seccomp listener: the container's own, or a session's.
  struct Ear {
    std::shared_ptr<Listener> listener;
    pid_t pid = 0;
    bool session = false;
    std::string exec_id;
    bool bootstrap = true;  // the runtime's init, trusted until it has become something else
    bool session_told = false;
    std::uint64_t start_time = 0;  // with the pid: who the leader of a session is
    std::string runtime_exe;       // which file
  };
  using Ears = std::list<Ear>;

  // On whose behalf a question is asked, and what a "no" to it leads to.
  struct Asker {
    policies::Mode mode;
    std::string exec_id;        // of a session
    bool own_boundary = false;  // the sessions', not the phase's
  };
  template <class Facts>
  [[nodiscard]] policies::Decision decide_for(const Asker& asker, const Facts& facts) const {
    return asker.own_boundary ? decide_session(policy_, facts) : decide(policy_, in_force(), facts);
  }
  [[nodiscard]] Asker asker_of(const Ear* session) const;

  Watched(SupervisorParts& parts, hooks::Adopt adopt, policies::Policy policy, UniqueFd events);

  // questions.cc: the seccomp side
  void on_listener(Ears::iterator ear, std::uint32_t events);
  void on_question(Ear& ear, Pending pending);
  bool still_bootstrap(Ear& ear, const policies::SyscallRow* row, Pending& pending);
  void read_and_decide(Pending pending, const policies::SyscallRow& row, const Asker& asker);
  // What was asked, and what was read of it, if anything was.
  struct Asked {
    const policies::SyscallRow& call;
    const Claims* claims;
  };
  void conclude(Pending pending, const policies::Decision& decision, const Asked& asked,
                const Asker& asker);
  void open_session(Ear& ear, Pending pending, const policies::SyscallRow& row);
  void begin_session(const Claims& claims, pid_t pid, const Asker& asker, Pending pending);
  void noticed_listen(const seccomp_notif& question);
  bool signalled_child(Pending& pending, const policies::SyscallRow& row, const Asker& asker);
  [[nodiscard]] policies::CallFacts facts(const policies::SyscallRow& row,
                                          const seccomp_notif& question, const Claims* claims,
                                          const Asker& asker) const;

  // opens.cc: the fanotify side
  void on_opens();
  void on_open(OpenEvent event, HeldEvent held);
  void let_through(const OpenEvent& event, HeldEvent held);
  void answer(const OpenEvent& event, HeldEvent held, const Ear* session);
  void conclude(const OpenEvent& event, HeldEvent held, const Asker& asker);
  [[nodiscard]] bool is_model(const std::string& path) const;
  [[nodiscard]] const Ear* session_of(pid_t pid) const;
  [[nodiscard]] bool sessions_differ() const;
  void release_held(bool allowed);

  // refusals.cc: what the kernel's own programs decided
  Status read_records(std::vector<UniqueFd> fds);
  void on_records();
  void on_record(const policies::NetworkRecord& record);
  void tell_lost();
  [[nodiscard]] policies::ProcessInfo caller(const policies::NetworkRecord& record, pid_t pid,
                                             pid_t tid) const;
  void tell_connections();
  void tell_cut(const std::vector<std::string>& cut);
  [[nodiscard]] policies::Decision decision_on(const policies::NetworkRecord& record,
                                               policies::Phase phase) const;
  [[nodiscard]] bool told_by_kernel(const policies::Decision& decision, const Asker& asker) const;
  void remember_caller(pid_t tid);

  // watched.cc: phases
  void resume();
  void expect(policies::Phase phase);  // the shim's word on it, bounded
  [[nodiscard]] policies::Phase in_force() const { return deciding_.value_or(lifecycle_.phase()); }
  void step(const policies::Happening& happening);
  void apply(const policies::Effect& effect);
  void transition_failed(policies::Phase phase, const std::string& why);

  // reporting.cc
  void report(const policies::Decision& decision, const policies::Outcome& outcome, pid_t tid,
              policies::Event event);
  [[nodiscard]] policies::Event blank(policies::EventKind kind) const;
  void emit(const policies::Event& event);
  void note_unreadable();
  void tell_unreadable();
  void punish(const policies::Verdict& verdict, pid_t tid, const std::function<bool()>& waits);
  void terminate();

  SupervisorParts& parts_;
  hooks::Adopt adopted_;
  policies::Policy policy_;
  policies::PathSet model_paths_;
  policies::Lifecycle lifecycle_;
  std::optional<policies::Phase> deciding_;  // the lifecycle is not there yet
  EventLog log_;
  Ears ears_;
  std::unique_ptr<ObjectGroup> group_;
  Membership membership_;
  std::optional<RecordRing> records_;
  std::optional<SharedState> network_state_;
  bool kernel_holds_ = false, kernel_names_unix_ = false;
  std::vector<policies::DeviceNode> devices_;  // that the container has had from the start
  std::uint64_t lost_records_ = 0;
  std::int64_t lost_second_ = 0;
  // Who was let through to the kernel's programs: gone, often, when their word is read.
  std::deque<policies::ProcessInfo> callers_;
  pid_t init_ = 0;
  std::string root_;  // what the kernel puts before the container's paths: see process.h
  Ending ending_;
  std::vector<std::pair<OpenEvent, HeldEvent>> held_;
  OpenMemo allowed_opens_;  // none of them a model's
  CallMemo allowed_calls_;
  std::set<pid_t> executing_;  // threads whose last execve was let through as far as its program
  std::vector<std::function<void()>> on_entered_;
  oci::Loop::TimerId timer_ = 0;
  oci::Loop::TimerId transition_timer_ = 0;
  Tally own_tally_{};
  Tally* tally_;  // in the journal, while that has room
  std::int64_t report_second_ = 0;
  std::uint64_t reports_ = 0, suppressed_ = 0, most_reports_ = kReportsPerSecond;
  std::uint64_t unreadable_ = 0;
  bool unreadable_told_ = false;  // a moment ago
  bool terminated_ = false;
  // Outlives nothing: callbacks of the reader check it before they touch this object.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace moat::shim
