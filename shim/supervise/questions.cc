// The seccomp side of a watched container: each notification becomes one answer.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "oci/sys.h"
#include "shim/supervise/decode.h"
#include "shim/supervise/watched.h"

namespace moat::shim {

using policies::SyscallRow;

namespace {

// The journal is full: the kernel keeps the rest queued, we look again after this.
constexpr std::chrono::milliseconds kBreath{5};

// Who connects, or makes or uses a node, may be gone when the kernel's word on it is read.
bool kernel_decides(const SyscallRow& row, const policies::Decision& decision) {
  return decision.object.type == policies::ObjectType::Address ||
         decision.object.type == policies::ObjectType::Device || row.name.starts_with("mknod");
}

// What is more than an answer, a trigger or a name to remember, is done each time; whom a signal is
// for depends on who sends it.
bool is_told_by_registers(const SyscallRow& row, const policies::Decision& decision) {
  return row.tier != policies::Tier::Trigger && row.action != policies::Action::ProcessCross &&
         !kernel_decides(row, decision);
}

bool is_exec(const SyscallRow& row) {
  return row.name == "execve" || row.name == "execveat";
}

// The port a socket of the caller is bound to; 0 when it cannot be had. For the trigger only.
std::uint16_t port_of(pid_t tid, int fd) {
  const auto pidfd = oci::pidfd_open(thread_group_of(tid));
  if (!pidfd) return 0;
  const UniqueFd socket(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd->raw(), fd, 0)));
  if (!socket.valid()) return 0;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket.raw(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return 0;
}

}  // namespace

void Watched::on_listener(Ears::iterator ear, std::uint32_t events) {
  if ((events & EPOLLIN) != 0) {
    auto slot = ear->listener->receive(parts_.journal);
    if (slot) {
      parts_.loop.favour(ear->listener->fd());
      on_question(*ear, Pending(ear->listener, *slot));
      return;
    }
    if (slot.error().code == Code::Unavailable) {
      (void)parts_.loop.change(ear->listener->fd(), 0);
      parts_.loop.after(kBreath, [this, alive = alive_, fd = ear->listener->fd()] {
        if (*alive) (void)parts_.loop.change(fd, EPOLLIN);
      });
    }
    return;
  }
  if ((events & (EPOLLHUP | EPOLLERR)) == 0) return;
  // No task uses the filter any more. Only then: children outlive the process that installed it.
  parts_.loop.forget(ear->listener->fd());
  ears_.erase(ear);
}

void Watched::on_question(Ear& ear, Pending pending) {
  ++tally_->notifications;
  if (ear.pid == 0) {  // where the runtime did not say: who asks first is its own init
    ear.pid = thread_group_of(static_cast<pid_t>(pending.question().pid));
    ear.start_time = oci::start_time_of(ear.pid);
    ear.runtime_exe = program_of(ear.pid);
  }
  const SyscallRow* row = row_of(pending.question());
  // What follows is this execve's, and no earlier one's that failed half way.
  if (row != nullptr && is_exec(*row)) executing_.erase(static_cast<pid_t>(pending.question().pid));
  if (still_bootstrap(ear, row, pending)) return;
  if (row == nullptr) {
    health("warning", "a call that is not in the table was refused");
    std::move(pending).refuse(EPERM);
    return;
  }
  if (ear.session && policy_.sessions() == policies::Sessions::Allow) {
    std::move(pending).go_on();
    return;
  }
  if (!ear.session) ++tally_->phase_notifications;
  const Asker asker = asker_of(&ear);
  const policies::Phase phase = in_force();
  CallMemo::Registers registers{};
  std::ranges::copy(pending.question().data.args, registers.begin());
  if (!asker.own_boundary && allowed_calls_.knows(phase, *row, registers)) {
    std::move(pending).go_on();
    return;
  }
  // Where the phase allows the class whatever the arguments say, nothing need be read.
  const policies::CallFacts bare = facts(*row, pending.question(), nullptr, asker);
  const policies::Decision decision = decide_for(asker, bare);
  if (!decision.allowed && signalled_child(pending, *row, asker)) return;
  if (decision.allowed || !has_claims(*row)) {
    if (decision.allowed && !asker.own_boundary && is_told_by_registers(*row, decision))
      allowed_calls_.add(phase, *row, registers);
    const bool listens = decision.allowed && row->tier == policies::Tier::Trigger && !ear.session;
    const seccomp_notif question = pending.question();
    conclude(std::move(pending), decision, {*row, nullptr}, asker);
    if (listens) noticed_listen(question);
    return;
  }
  read_and_decide(std::move(pending), *row, asker);
}

// A master ends its workers in every phase. The signal is sent by us, to the process that was seen
// to be a child: the number may be another's when the call goes on. Consumes the question if so.
bool Watched::signalled_child(Pending& pending, const SyscallRow& row, const Asker& asker) {
  if (row.name != "kill") return false;
  const auto& args = pending.question().data.args;
  const auto number = static_cast<pid_t>(static_cast<std::uint32_t>(args[0]));
  const auto signal = static_cast<int>(static_cast<std::uint32_t>(args[1]));
  if (number <= 0) return false;
  const UniqueFd child = child_of(static_cast<pid_t>(pending.question().pid), number);
  if (!child.valid() || !pending.still_waiting()) return false;
  if (asker.mode != policies::Mode::Enforce) {
    std::move(pending).go_on();
    return true;
  }
  const Status sent = oci::pidfd_signal(child.raw(), signal);
  if (sent)
    std::move(pending).done();
  else
    std::move(pending).refuse(sent.error().err != 0 ? sent.error().err : EPERM);
  return true;
}

// What is said of sessions weighs for them; `sessions: audit` reports where the container's own
// processes are refused.
Watched::Asker Watched::asker_of(const Ear* session) const {
  if (session == nullptr || !session->session) return {adopted_.mode, {}, false};
  const bool refused = policy_.sessions() == policies::Sessions::Deny;
  return {refused ? adopted_.mode : policies::Mode::Audit, session->exec_id,
          policy_.session_boundary() != nullptr};
}

// Until its first execve has taken effect the task is the runtime's init: trusted code that blocks
// `runc create` if it is not let through; not its children. Consumes the question when it says yes.
bool Watched::still_bootstrap(Ear& ear, const SyscallRow* row, Pending& pending) {
  if (!ear.bootstrap) return false;
  if (ear.runtime_exe.empty() || program_of(ear.pid) != ear.runtime_exe ||
      oci::start_time_of(ear.pid) != ear.start_time) {
    ear.bootstrap = false;
    return false;
  }
  if (thread_group_of(static_cast<pid_t>(pending.question().pid)) != ear.pid) return false;
  if (row != nullptr && is_exec(*row) && ear.session) {
    open_session(ear, std::move(pending), *row);
    return true;
  }
  std::move(pending).go_on();
  return true;
}

// A signal makes the runtime ask again: told once, answered alike each time.
void Watched::open_session(Ear& ear, Pending pending, const SyscallRow& row) {
  const Asker asker = asker_of(&ear);
  const bool denied = policy_.sessions() == policies::Sessions::Deny && !asker.own_boundary &&
                      adopted_.mode == policies::Mode::Enforce;
  const bool again = std::exchange(ear.session_told, true);
  if (again && !asker.own_boundary) {
    if (denied)
      std::move(pending).refuse(EACCES);
    else
      std::move(pending).go_on();
    return;
  }
  const ReadRequest request{ear.pid, &row, facts_of(row, pending.question(), nullptr).args};
  auto held = std::make_shared<Pending>(std::move(pending));
  parts_.reader.read(request, [this, alive = alive_, held, denied, again, pid = ear.pid,
                               asker](std::optional<Claims> claims) {
    if (!*alive) return;
    policies::Event event = blank(policies::EventKind::Session);
    event.action = denied ? "denied" : "allowed";
    event.exec_id = asker.exec_id;
    event.process = describe(pid);
    event.claimed = true;
    if (claims) {
      event.process->argv = claims->argv;
      event.object = {policies::ObjectType::Exec, claims->path.value_or("")};
    }
    event.message = "a session was started in the container";
    if (!again) emit(event);
    if (denied)
      std::move(*held).refuse(EACCES);
    else if (asker.own_boundary)
      begin_session(claims.value_or(Claims{}), pid, asker, std::move(*held));
    else
      std::move(*held).go_on();
  });
}

// Its first program is the one open that comes while it counts as the runtime's: decided by what
// the runtime claims, which nobody in the container can change.
void Watched::begin_session(const Claims& claims, pid_t pid, const Asker& asker, Pending pending) {
  const policies::OpenFacts program{claims.resolved.value_or(""), true};
  const policies::Decision decision = decide_for(asker, program);
  const policies::Outcome outcome = policies::outcome(policy_, asker.mode, decision);
  if (outcome.report != policies::Report::Nothing) {
    policies::Event event = blank(policies::EventKind::Violation);
    event.syscall = "execve";
    event.exec_id = asker.exec_id;
    event.claimed = true;
    report(decision, outcome, pid, std::move(event));
  }
  punish(outcome.verdict, pid, [&] { return pending.still_waiting(); });
  if (std::holds_alternative<policies::Continue>(outcome.verdict))
    std::move(pending).go_on();
  else
    std::move(pending).refuse(EACCES);
}

void Watched::read_and_decide(Pending pending, const SyscallRow& row, const Asker& asker) {
  const auto tid = static_cast<pid_t>(pending.question().pid);
  const ReadRequest request{tid, &row, facts_of(row, pending.question(), nullptr).args};
  auto held = std::make_shared<Pending>(std::move(pending));
  parts_.reader.read(request,
                     [this, alive = alive_, held, &row, asker](std::optional<Claims> claims) {
                       if (!*alive) return;
                       Claims read = claims.value_or(Claims{});
                       if (!claims) {
                         read.unreadable = true;
                         note_unreadable();
                       }
                       if (!held->still_waiting())
                         return;  // gone: what was read may be another process's
                       const policies::CallFacts said = facts(row, held->question(), &read, asker);
                       conclude(std::move(*held), decide_for(asker, said), {row, &read}, asker);
                     });
}

policies::CallFacts Watched::facts(const SyscallRow& row, const seccomp_notif& question,
                                   const Claims* claims, const Asker& asker) const {
  policies::CallFacts facts = facts_of(row, question, claims);
  facts.kernel_holds = kernel_holds_ && !asker.own_boundary;  // programs let sessions through
  facts.kernel_names_unix = kernel_names_unix_ && !asker.own_boundary;
  const auto pid = row.index_of(policies::Arg::Pid);
  if (pid &&
      is_own_number(static_cast<pid_t>(question.pid),
                    static_cast<pid_t>(static_cast<std::uint32_t>(question.data.args[*pid]))))
    facts.target = policies::Target::Self;
  return facts;
}

void Watched::conclude(Pending pending, const policies::Decision& decision, const Asked& asked,
                       const Asker& asker) {
  const policies::Outcome outcome = policies::outcome(policy_, asker.mode, decision);
  const auto tid = static_cast<pid_t>(pending.question().pid);
  if (decision.quiet) ++tally_->quiet;
  const bool goes_on = std::holds_alternative<policies::Continue>(outcome.verdict);
  if (records_ && goes_on && kernel_decides(asked.call, decision)) remember_caller(tid);
  if (outcome.report != policies::Report::Nothing && !told_by_kernel(decision, asker)) {
    policies::Event event = blank(policies::EventKind::Violation);
    event.syscall = asked.call.name;
    event.exec_id = asker.exec_id;
    event.claimed = asked.claims != nullptr;
    if (asked.claims != nullptr && !asked.claims->argv.empty()) {
      event.process.emplace();
      event.process->argv = asked.claims->argv;
    }
    report(decision, outcome, tid, std::move(event));
  }
  punish(outcome.verdict, tid, [&] { return pending.still_waiting(); });
  if (goes_on)
    std::move(pending).go_on();
  else if (const auto* refuse = std::get_if<policies::Refuse>(&outcome.verdict))
    std::move(pending).refuse(refuse->err);
  else
    std::move(pending).refuse(EPERM);
}

void Watched::noticed_listen(const seccomp_notif& question) {
  const std::uint16_t port =
      port_of(static_cast<pid_t>(question.pid), static_cast<int>(question.data.args[0]));
  step(policies::Listening{port});
}

}  // namespace moat::shim
