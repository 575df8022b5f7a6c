#include "shim/task/exits.h"

#include <sys/epoll.h>

#include <charconv>
#include <csignal>

#include "oci/spawn.h"
#include "oci/sys.h"
#include "shim/log.h"
#include "shim/proto/events.pb.h"
#include "shim/task/oom.h"
#include "shim/task/stats.h"

namespace moat::shim {

Status Exits::adopt(Process& process, const std::string& pid_file) {
  auto text = oci::read_file(pid_file, 64);
  if (!text) return fail(std::move(text.error()));
  pid_t pid = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), pid);
  if (parsed.ec != std::errc() || pid <= 1)
    return fail(Code::Internal, pid_file + ": not a pid: " + *text);
  // It is our child by now (the runtime has gone and we are the subreaper) and nobody reaps
  // strangers while the runtime's call is held: the number is still this process's.
  auto pidfd = oci::pidfd_open(pid);
  if (!pidfd) return fail(std::move(pidfd.error()));
  process.pid = pid;
  process.pidfd = std::move(*pidfd);
  reaper_.know(pid);
  return {};
}

void Exits::arm(const std::shared_ptr<Container>& container,
                const std::shared_ptr<Process>& process) {
  if (process == container->init) tell_late_oom_kills(events_, *container);
  if (!process->pidfd.valid()) return;
  auto watched =
      loop_.watch(process->pidfd.raw(), EPOLLIN,
                  [this, container, process](std::uint32_t) { ended(container, process); });
  if (!watched)
    log_error("an exit will go unnoticed", {{"id", process->id}, {"error", watched.error().what}});
}

void Exits::disarm(const Process& process) {
  if (process.pidfd.valid()) loop_.forget(process.pidfd.raw());
}

void Exits::discard(Process& process) {
  if (!process.pidfd.valid()) return;
  disarm(process);
  process.pidfd.reset();
  reaper_.forget(process.pid);
}

void Exits::ended(const std::shared_ptr<Container>& container,
                  const std::shared_ptr<Process>& process) {
  const auto exit = oci::reap(process->pidfd.raw());
  if (!exit && exit.error().code == Code::Unavailable) return;
  const auto [seconds, nanos] = oci::utc_now();
  ExitRecord record{255, seconds, nanos};
  if (exit) {
    record.status = static_cast<std::uint32_t>(exit->status);
  } else {
    log_error("exit status lost", {{"id", process->id}, {"error", exit.error().what}});
  }
  discard(*process);
  if (process->stdio) process->stdio->process_exited();
  // Told before the exit: whoever waits for that asks at once what it was.
  constexpr std::uint32_t kKilled = 128 + SIGKILL;
  if (container->oom) container->oom->check(record.status == kKilled);
  if (process == container->init) {
    container->init_exit = record;  // from here on no exec starts
    keep_last_stats(*container);
    // What is frozen beside it could not die.
    if (container->cgroup) container->cgroup->thaw();
    if (!container->private_pids) container->kill_all();
  } else {
    tell(*container, *process, record);
  }
  settle(*container);
}

void Exits::settle(Container& container) {
  if (!container.init_exit || container.has_live_execs()) return;
  if (container.init->state == State::Stopped) return;
  tell(container, *container.init, *container.init_exit);
}

void Exits::tell(const Container& container, Process& process, const ExitRecord& record) {
  containerd::events::TaskExit event;
  event.set_container_id(container.id);
  event.set_id(process.id);
  event.set_pid(static_cast<std::uint32_t>(process.pid));
  event.set_exit_status(record.status);
  fill(*event.mutable_exited_at(), record);
  events_.publish("/tasks/exit", "containerd.events.TaskExit", event);
  process.set_exited(record);
}

}  // namespace moat::shim
