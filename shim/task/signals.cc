#include "shim/task/signals.h"

#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr std::string_view kFinished = "process already finished: not found";

Status send(const Process& process, int signal) {
  if (!process.pidfd.valid()) return fail(Code::NotFound, std::string(kFinished));
  auto sent = oci::pidfd_signal(process.pidfd.raw(), signal);
  if (sent) return {};
  if (sent.error().err == ESRCH) return fail(Code::NotFound, std::string(kFinished));
  return sent;
}

void answer(ttrpc::Call& call, Status status) {
  if (status) return call.ok();
  call.fail(std::move(status.error()));
}

// What the kernel refuses in an exec's kill, in the words clients know. Only a process that is gone
// has a code of its own: they act upon it.
Status in_kill_words(Status status) {
  if (status || status.error().code == Code::NotFound) return status;
  std::string reason = ::strerror(status.error().err);
  reason.front() = static_cast<char>(std::tolower(reason.front()));
  return fail(Code::Unknown, "exec kill error: unknown error after kill: " + reason);
}

// The words of a shim that asks runc: clients know them.
Status in_runc_words(Status status) {
  if (status || status.error().err != EINVAL) return status;
  return fail(
      Code::Unknown,
      "unknown error after kill: runc did not terminate successfully: exit status 1: unable "
      "to signal init: invalid argument\n");
}

Status signal_init(const Container& container, Signal signal) {
  if (signal.number == SIGKILL && container.cgroup) container.cgroup->thaw();
  const bool finished = container.init_exit.has_value();
  if (!signal.all) return in_runc_words(send(*container.init, signal.number));
  if (container.cgroup) {
    container.cgroup->signal_all(signal.number);
    return {};
  }
  return finished ? Status{} : send(*container.init, signal.number);
}

}  // namespace

void kill_init(const std::shared_ptr<Container>& container, Signal signal, ttrpc::Call call) {
  const auto owed = std::make_shared<ttrpc::Call>(std::move(call));
  auto deliver = [container, signal, owed] { answer(*owed, signal_init(*container, signal)); };
  if (!container->guarded || container->init_exit) return deliver();
  container->guarded->signalling(signal.number, std::move(deliver));
}

void kill_exec(const std::shared_ptr<Process>& exec, Signal signal, ttrpc::Call call) {
  const auto owed = std::make_shared<ttrpc::Call>(std::move(call));
  const auto deliver = [exec, signal, owed] {
    if (exec->state == State::Created)
      return owed->fail(Code::FailedPrecondition, "process not created: failed precondition");
    answer(*owed, in_kill_words(send(*exec, signal.number)));
  };
  if (exec->state != State::Starting) return deliver();
  // It has no pid yet: the signal waits for it.
  exec->turnstile.enter([deliver](const Turnstile::Ticket&) { deliver(); });
}

}  // namespace moat::shim
