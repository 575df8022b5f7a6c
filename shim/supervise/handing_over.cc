// What the shim keeps of a container so that the loss of its supervisor is not its end.
#include <fcntl.h>
#include <sys/epoll.h>

#include "oci/sys.h"
#include "shim/log.h"
#include "shim/supervise/event_log.h"
#include "shim/supervise/guarded_container.h"
#include "shim/supervise/process.h"
#include "shim/supervise/refusal.h"

namespace moat::shim {

void GuardedContainer::keep(hooks::Listen message, UniqueFd listener) {
  message.number = link_.next_number();
  if (message.pid > 0) {
    // It waits for its first answer, so it is what it was when it installed the filter.
    message.start_time = oci::start_time_of(message.pid);
    message.runtime_exe = program_of(message.pid);
  }
  if (auto sent = link_.send(message, {listener.raw()}); !sent)
    log_warning("a seccomp listener waits for the next supervisor",
                {{"id", id()}, {"error", sent.error().what}});
  order(KeeperOrder::Kind::Listener, message.number, {listener.raw()});
  const int fd = listener.raw();
  const auto at = kept_.insert(kept_.end(), Kept{std::move(message), std::move(listener)});
  // No events but the one that cannot be declined: no task uses the filter any more.
  const auto watched = loop_.watch(fd, 0, [this, at](std::uint32_t) {
    loop_.forget(at->listener.raw());
    kept_.erase(at);
  });
  if (!watched) log_error(watched.error().what, {{"id", id()}});
}

void GuardedContainer::settle_questions(JournalPage& journal) {
  const bool refuse = plan_.mode == policies::Mode::Enforce;
  std::size_t count = 0;
  for (const Kept& kept : kept_)
    count +=
        settle_calls(journal, kept.message.number, kept.listener.raw(), refuse ? plan_.err : 0);
  if (group_.valid()) count += settle_opens(journal, group_number_, group_.raw(), !refuse);
  plan_.adopt.unanswered = count;
}

void GuardedContainer::hand_over() {
  hooks::Adopt& adopt = plan_.adopt;
  adopt.resumed = true;
  adopt.phase = phase_;
  adopt.loading = loading_;
  adopt.since_ms = phase_since_;
  (void)link_.send(adopt, {plan_.events.raw()});
  tell_network();  // before the questions that are decided with it
  for (const Kept& kept : kept_) (void)link_.send(kept.message, {kept.listener.raw()});
  if (init_ > 0) tell_watch();
  if (last_signal_ != 0) (void)link_.send(hooks::Signalling{id(), last_signal_, 0});
}

void GuardedContainer::tell_watch() {
  std::vector<int> fds = ending_.raw();
  if (group_.valid()) fds.insert(fds.begin(), group_.raw());
  (void)link_.send(hooks::Watch{id(), init_, group_number_}, fds);
}

void GuardedContainer::tell_network() {
  if (network_word_.id.empty()) return;
  std::vector<int> fds;
  if (network_) fds = {network_->state(), network_->ring()};
  (void)link_.send(network_word_, fds);
  network_word_.problem.clear();  // one supervisor's event is enough
}

void GuardedContainer::order(KeeperOrder::Kind kind, std::uint32_t number,
                             const std::vector<int>& fds) {
  const bool refuse = plan_.mode == policies::Mode::Enforce;
  keeper_.send({kind, plan_.adopt.number, number, refuse ? plan_.err : 0}, fds);
}

void GuardedContainer::hand_to_keeper() {
  if (init_ > 0) order(KeeperOrder::Kind::Container, 0, ending_.raw());
  for (const Kept& kept : kept_)
    order(KeeperOrder::Kind::Listener, kept.message.number, {kept.listener.raw()});
  if (group_.valid()) order(KeeperOrder::Kind::Group, group_number_, {group_.raw()});
}

void GuardedContainer::report_loss() {
  policies::Event event;
  event.kind = policies::EventKind::Health;
  event.severity = "critical";
  event.mode = plan_.mode;
  event.phase.name = phase_;
  event.container = plan_.adopt.container;
  event.message = "the supervisor was lost again and again: the container is killed";
  EventLog(UniqueFd(::fcntl(plan_.events.raw(), F_DUPFD_CLOEXEC, 0)), true).write(event);
}

}  // namespace moat::shim
