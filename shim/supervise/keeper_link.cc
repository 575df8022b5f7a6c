#include "shim/supervise/keeper_link.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "oci/socket.h"
#include "oci/sys.h"

namespace moat::shim {

Status KeeperLink::start(const SupervisorLink& supervisor) {
  auto pair = oci::socket_pair(SOCK_SEQPACKET);
  if (!pair) return fail(std::move(pair.error()));
  auto self = oci::pidfd_open(::getpid());
  if (!self) return fail(std::move(self.error()));
  for (const int fd : {pair->first.raw(), pair->second.raw()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  oci::Command command;
  command.path = "/proc/self/exe";
  command.argv = {"containerd-shim-moat-v2", "keeper"};
  command.cwd = "/";
  command.fds = {{pair->second.raw(), 3},
                 {supervisor.journal_fd(), 4},
                 {self->raw(), 5},
                 {supervisor.pidfd(), 6}};
  auto child = oci::spawn(command);
  if (!child) return fail(std::move(child.error()).in("keeper"));
  reaper_.know(child->pid);
  child_ = std::move(*child);
  socket_ = std::move(pair->first);
  return loop_.watch(child_->pidfd.raw(), EPOLLIN, [this](std::uint32_t) { lost(); });
}

void KeeperLink::send(const KeeperOrder& order, const std::vector<int>& fds) {
  if (!child_) return;
  const std::string_view bytes(reinterpret_cast<const char*>(&order), sizeof order);
  // One that misses an order is replaced by one that is told everything.
  if (!oci::send_packet(socket_.raw(), bytes, fds))
    (void)oci::pidfd_signal(child_->pidfd.raw(), SIGKILL);
}

void KeeperLink::stop() {
  if (!child_) return;
  loop_.forget(child_->pidfd.raw());
  let_go();
}

void KeeperLink::lost() {
  loop_.forget(child_->pidfd.raw());
  (void)oci::reap(child_->pidfd.raw());
  let_go();
  on_lost_();
}

// Who ends on its own is reaped as a stranger.
void KeeperLink::let_go() {
  reaper_.forget(child_->pid);
  child_.reset();
  socket_.reset();
}

}  // namespace moat::shim
