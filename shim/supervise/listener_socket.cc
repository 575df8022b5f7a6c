#include "shim/supervise/listener_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "oci/socket.h"
#include "shim/supervise/process.h"

namespace moat::shim {

namespace {

constexpr std::chrono::milliseconds kDeadline{2000};  // a runtime sends all of it at once
constexpr int kMaxDepth = 16;                         // between a runtime's helper and this shim

bool descends_from(pid_t pid, pid_t ancestor) {
  for (int depth = 0; depth < kMaxDepth && pid > 1; ++depth) {
    if (pid == ancestor) return true;
    pid = parent_of(pid);
  }
  return false;
}

}  // namespace

ListenerSocket::ListenerSocket(oci::Loop& loop, std::string path, Receive receive,
                               Complain complain)
    : loop_(loop),
      path_(std::move(path)),
      receive_(std::move(receive)),
      complain_(std::move(complain)) {}

Result<std::unique_ptr<ListenerSocket>> ListenerSocket::create(oci::Loop& loop, std::string path,
                                                               Receive receive, Complain complain) {
  std::unique_ptr<ListenerSocket> self(
      new ListenerSocket(loop, path, std::move(receive), std::move(complain)));
  ::unlink(path.c_str());  // left by a shim that was killed; the name is of this container alone
  auto socket = oci::listen_unix(path, SOCK_STREAM, 0600);
  if (!socket) return fail(std::move(socket.error()).in("socket for the seccomp listener"));
  self->socket_ = std::move(*socket);
  auto watched = loop.watch(self->socket_.raw(), EPOLLIN,
                            [raw = self.get()](std::uint32_t) { raw->on_connect(); });
  if (!watched) return fail(std::move(watched.error()));
  return self;
}

ListenerSocket::~ListenerSocket() {
  while (!connections_.empty()) drop(connections_.begin()->first);
  if (socket_.valid()) {
    loop_.forget(socket_.raw());
    ::unlink(path_.c_str());
  }
}

// All of them in one turn: a runtime that has handed over its listener ends, and once its end has
// had its turn, nobody can tell any more whose child it was. Its connection came before its end,
// and epoll keeps that order; of many execs at once only one would be in time.
void ListenerSocket::on_connect() {
  while (auto fd = oci::accept_unix(socket_.raw())) admit(std::move(*fd));
}

void ListenerSocket::admit(UniqueFd socket) {
  const auto peer = oci::peer_of(socket.raw());
  if (!peer || peer->uid != 0 || !descends_from(peer->pid, ::getpid())) {
    complain_("a stranger connected to the socket for the seccomp listener");
    return;
  }
  const int key = socket.raw();
  Connection& connection = connections_[key];
  connection.socket = std::move(socket);
  connection.peer = peer->pid;
  if (!loop_.watch(key, EPOLLIN, [this, key](std::uint32_t) { on_readable(key); })) drop(key);
}

void ListenerSocket::on_readable(int key) {
  Connection& connection = connections_.at(key);
  auto packet = oci::receive_packet(key, 16U << 10);
  if (!packet && packet.error().code == Code::Unavailable) return;
  if (!packet || connection.text.size() + packet->data.size() > kMaxProcessState) {
    complain_("the runtime's message with the seccomp listener could not be read");
    drop(key);
    return;
  }
  // Counted from the first byte: crun connects when it creates a container and speaks at its start.
  if (connection.deadline == 0)
    connection.deadline = loop_.after(kDeadline, [this, key] {
      const auto state = parse_process_state(connections_.at(key).text);
      complain_("the runtime did not finish handing over the seccomp listener: " +
                (state ? std::string("it did not close") : state.error().what));
      drop(key);
    });
  connection.text += packet->data;
  std::ranges::move(packet->fds, std::back_inserter(connection.fds));
  // The sender closes after the last byte; a complete object is as good, and comes earlier.
  if (!packet->closed && !parse_process_state(connection.text)) return;
  Connection done = std::move(connection);
  loop_.forget(key);
  loop_.cancel(done.deadline);
  connections_.erase(key);
  finish(std::move(done));
}

void ListenerSocket::drop(int key) {
  const auto found = connections_.find(key);
  if (found == connections_.end()) return;
  loop_.forget(key);
  loop_.cancel(found->second.deadline);
  connections_.erase(found);
}

void ListenerSocket::finish(Connection connection) {
  if (connection.text.empty()) {
    complain_("the runtime closed the socket without handing over a seccomp listener");
    return;
  }
  auto state = parse_process_state(connection.text);
  if (!state) {
    complain_(state.error().what);
    return;
  }
  const auto named = std::ranges::find(state->fd_names, "seccompFd");
  const auto index = static_cast<std::size_t>(named - state->fd_names.begin());
  if (named == state->fd_names.end() || index >= connection.fds.size()) {
    complain_("the runtime's message names no seccomp listener");
    return;
  }
  receive_(Handover{std::move(*state), connection.peer, std::move(connection.fds[index])});
}

}  // namespace moat::shim
