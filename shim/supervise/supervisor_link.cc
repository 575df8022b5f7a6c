#include "shim/supervise/supervisor_link.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <csignal>

#include "oci/socket.h"
#include "oci/sys.h"

namespace moat::shim {

SupervisorLink::~SupervisorLink() {
  if (child_) loop_.forget(child_->pidfd.raw());
  if (socket_.valid()) loop_.forget(socket_.raw());
  // Closing the socket is what tells the supervisor to end.
}

Status SupervisorLink::ensure() {
  if (child_) return {};
  auto pair = oci::socket_pair(SOCK_SEQPACKET);
  if (!pair) return fail(std::move(pair.error()));
  if (!journal_) {
    auto journal = Journal::create();
    if (!journal) return fail(std::move(journal.error()));
    journal_ = std::move(*journal);
  }
  oci::Command command;
  command.path = "/proc/self/exe";  // this very binary, even after an upgrade replaced its file
  command.argv = {"containerd-shim-moat-v2", "supervisor"};
  command.cwd = "/";
  command.fds = {{pair->second.raw(), 3}, {journal_->fd(), 4}};
  auto child = oci::spawn(command);
  if (!child) return fail(std::move(child.error()).in("supervisor"));
  reaper_.know(child->pid);
  child_ = std::move(*child);
  socket_ = std::move(pair->first);
  ::fcntl(socket_.raw(), F_SETFL, O_NONBLOCK);
  if (auto s = loop_.watch(socket_.raw(), EPOLLIN, [this](std::uint32_t) { on_readable(); }); !s)
    return s;
  return loop_.watch(child_->pidfd.raw(), EPOLLIN, [this](std::uint32_t) { lost(); });
}

Status SupervisorLink::send(const hooks::Message& message, const std::vector<int>& fds) {
  if (!socket_.valid()) return fail(Code::Unavailable, "the supervisor is not running");
  auto sent = oci::send_packet(socket_.raw(), hooks::encode(message), fds);
  // One that misses a message must not go on as if it had not: its successor is told everything.
  if (!sent) (void)oci::pidfd_signal(child_->pidfd.raw(), SIGKILL);
  return sent;
}

void SupervisorLink::ask(std::function<hooks::Message(std::uint64_t)> question,
                         std::chrono::milliseconds deadline,
                         std::function<void(const hooks::Message*)> done) {
  const std::uint64_t ticket = next_ticket_++;
  if (!send(question(ticket))) {
    done(nullptr);
    return;
  }
  const auto timer = loop_.after(deadline, [this, ticket] { answer(ticket, nullptr); });
  questions_.emplace(ticket, Question{std::move(done), timer});
}

void SupervisorLink::answer(std::uint64_t ticket, const hooks::Message* message) {
  const auto found = questions_.find(ticket);
  if (found == questions_.end()) return;
  Question question = std::move(found->second);
  questions_.erase(found);
  loop_.cancel(question.deadline);
  question.done(message);
}

bool SupervisorLink::on_readable() {
  auto packet = oci::receive_packet(socket_.raw(), hooks::kMaxMessage);
  if (!packet && packet.error().code == Code::Unavailable) return false;
  if (!packet || packet->closed) {
    loop_.forget(socket_.raw());
    disowned();
    return false;
  }
  const auto message = hooks::decode(packet->data);
  if (!message) return true;
  if (const auto* ready = std::get_if<hooks::Ready>(&*message))
    answer(ready->ticket, &*message);
  else if (const auto* told = std::get_if<hooks::Told>(&*message))
    answer(told->ticket, &*message);
  else
    on_message_(*message);
  return true;
}

// The thread that answered is gone. Its process may not be yet: a thread that reads for it can be
// held up in the kernel, and the pidfd with it.
void SupervisorLink::disowned() {
  if (!child_) return;
  (void)oci::pidfd_signal(child_->pidfd.raw(), SIGKILL);
  loop_.post([this, pid = child_->pid] {
    if (child_ && child_->pid == pid) lost();
  });
}

void SupervisorLink::lost() {
  loop_.forget(child_->pidfd.raw());
  (void)oci::reap(child_->pidfd.raw());
  while (on_readable()) {  // its last words
  }
  if (socket_.valid()) loop_.forget(socket_.raw());
  reaper_.forget(child_->pid);
  child_.reset();
  socket_.reset();
  while (!questions_.empty()) answer(questions_.begin()->first, nullptr);
  on_lost_();
}

}  // namespace moat::shim
