#include "shim/ttrpc/server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/ttrpc/session.h"

namespace moat::shim::ttrpc {

namespace {

constexpr std::chrono::milliseconds kFlushStep{5};

// With EMFILE the listener stays readable: without a pause the loop would spin on it.
constexpr std::chrono::milliseconds kAcceptPause{100};

bool same_user(int socket) {
  const auto peer = oci::peer_of(socket);
  return peer && peer->uid == ::geteuid() && peer->gid == ::getegid();
}

}  // namespace

Server::Server(oci::Loop& loop, const Registry& registry) : loop_(loop), registry_(registry) {}

Server::~Server() {
  *alive_ = false;
  stop_accepting();
}

Status Server::serve(UniqueFd listener) {
  listener_ = std::move(listener);
  return loop_.watch(listener_.raw(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
}

void Server::stop_accepting() {
  if (!listener_.valid()) return;
  loop_.forget(listener_.raw());
  listener_.reset();
}

void Server::accept_some() {
  while (listener_.valid()) {
    auto socket = oci::accept_unix(listener_.raw());
    if (!socket) {
      const int err = socket.error().err;
      if (err == EINTR || err == ECONNABORTED) continue;
      if (err == EAGAIN || err == EWOULDBLOCK) return;
      (void)loop_.change(listener_.raw(), 0);
      loop_.after(kAcceptPause, [this, alive = alive_] {
        if (*alive && listener_.valid()) (void)loop_.change(listener_.raw(), EPOLLIN);
      });
      return;
    }
    if (same_user(socket->raw())) adopt(std::move(*socket));
  }
}

void Server::adopt(UniqueFd socket) {
  auto session =
      Session::open(loop_, std::move(socket), registry_, [this, alive = alive_](Session* closed) {
        if (!*alive) return;
        sessions_.erase(closed);
        if (changed_) changed_();
      });
  if (!session->is_open()) return;
  const Session* key = session.get();
  sessions_.emplace(key, std::move(session));
  if (changed_) changed_();
}

void Server::flush(std::chrono::milliseconds bound, std::function<void()> done) {
  bool flushed = true;
  for (const auto& [key, session] : sessions_) flushed = flushed && session->flushed();
  if (flushed || bound.count() <= 0) return done();
  loop_.after(kFlushStep, [this, alive = alive_, bound, done = std::move(done)]() mutable {
    if (*alive) flush(bound - kFlushStep, std::move(done));
  });
}

}  // namespace moat::shim::ttrpc
