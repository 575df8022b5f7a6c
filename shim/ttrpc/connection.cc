#include "shim/ttrpc/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

namespace moat::shim::ttrpc {

namespace {
constexpr std::size_t kReadSize = 16U << 10;
}

std::shared_ptr<Connection> Connection::open(oci::Loop& loop, UniqueFd socket, Handlers handlers) {
  std::shared_ptr<Connection> self(new Connection(loop, std::move(socket), std::move(handlers)));
  const std::weak_ptr<Connection> weak = self;
  self->interest_ = EPOLLIN;
  auto watched = loop.watch(self->socket_.raw(), EPOLLIN, [weak](std::uint32_t events) {
    if (auto connection = weak.lock()) connection->on_events(events);
  });
  if (!watched) self->socket_.reset();
  return self;
}

Connection::Connection(oci::Loop& loop, UniqueFd socket, Handlers handlers)
    : loop_(loop), socket_(std::move(socket)), handlers_(std::move(handlers)) {}

Connection::~Connection() {
  if (socket_.valid()) loop_.forget(socket_.raw());
}

void Connection::close() {
  if (!socket_.valid()) return;
  loop_.forget(socket_.raw());
  socket_.reset();
  out_ = {};
  sent_ = 0;
  // Later, not from here: the owner may be in the middle of using what the callback destroys.
  loop_.post([self = shared_from_this()] {
    const Handlers handlers = std::exchange(self->handlers_, {});
    if (handlers.closed) handlers.closed();
  });
}

void Connection::send(std::uint32_t stream, std::uint8_t type, std::string_view payload) {
  if (!socket_.valid()) return;
  if (unsent() + payload.size() > kMaxUnsent) return close();
  out_ += encode_frame(stream, type, payload);
  write_some();
}

void Connection::on_events(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) write_some();
  if (socket_.valid() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
}

// One buffer a turn, so that a busy connection starves no other.
void Connection::read_some() {
  char buffer[kReadSize];
  const ssize_t n = ::recv(socket_.raw(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return close();
  reader_.push({buffer, static_cast<std::size_t>(n)});
  while (socket_.valid()) {
    const auto frame = reader_.next();
    if (!frame) break;
    if (handlers_.frame) handlers_.frame(*frame);
  }
}

void Connection::write_some() {
  while (unsent() > 0) {
    const ssize_t n =
        ::send(socket_.raw(), out_.data() + sent_, unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return close();
    if (n < 0) break;
    sent_ += static_cast<std::size_t>(n);
  }
  if (unsent() == 0) {
    out_ = {};
    sent_ = 0;
  } else if (sent_ > kPauseReading) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  update_interest();
}

void Connection::update_interest() {
  std::uint32_t wanted = unsent() > kPauseReading ? 0U : EPOLLIN;
  if (unsent() > 0) wanted |= EPOLLOUT;
  if (wanted == interest_) return;
  interest_ = wanted;
  (void)loop_.change(socket_.raw(), wanted);
}

}  // namespace moat::shim::ttrpc
