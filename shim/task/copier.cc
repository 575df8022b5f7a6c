#include "shim/task/copier.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace moat::shim {

namespace {

constexpr std::size_t kChunk = 64U << 10;  // a pipe's default size
constexpr int kMaxChunks = 16;             // a turn, so that one loud container starves no other
constexpr std::chrono::milliseconds kLinger{20};

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) > 0;
}

bool holds_data(int fd) {
  int count = 0;
  return ::ioctl(fd, FIONREAD, &count) == 0 && count > 0;
}

}  // namespace

Copier::Copier(oci::Loop& loop, UniqueFd from, UniqueFd to, bool keep_unread)
    : loop_(loop), from_(std::move(from)), to_(std::move(to)), keep_unread_(keep_unread) {}

void Copier::start(std::function<void()> finished) {
  finished_ = std::move(finished);
  struct stat status {};
  if (::fstat(from_.raw(), &status) == 0 && S_ISREG(status.st_mode)) return next_turn();
  wait_for(from_.raw(), EPOLLIN);
}

void Copier::next_turn() {
  timer_ = loop_.after(std::chrono::milliseconds(0), [this] {
    timer_ = 0;
    run();
  });
}

void Copier::close() {
  if (watched_ >= 0) loop_.forget(std::exchange(watched_, -1));
  loop_.cancel(std::exchange(timer_, 0));
  finished_ = nullptr;
  from_.reset();
  to_.reset();
}

void Copier::wait_for(int fd, std::uint32_t events) {
  if (watched_ == fd) return;
  if (watched_ >= 0) loop_.forget(watched_);
  watched_ = fd;
  if (!loop_.watch(fd, events, [this](std::uint32_t) { run(); })) end();
}

void Copier::run() {
  for (int i = 0; i < kMaxChunks; ++i) {
    switch (by_hand_ ? copy_by_hand() : copy_some()) {
      case Step::More:
        break;
      case Step::WaitSource:
        return wait_for(from_.raw(), EPOLLIN);
      case Step::WaitSink:
        return wait_for(to_.raw(), EPOLLOUT);
      case Step::End:
        return end();
    }
  }
  if (watched_ < 0) next_turn();
}

// EAGAIN does not say which end it was.
Copier::Step Copier::blocked() const {
  return readable(from_.raw()) ? Step::WaitSink : Step::WaitSource;
}

Copier::Step Copier::copy_some() {
  const ssize_t n =
      ::splice(from_.raw(), nullptr, to_.raw(), nullptr, kChunk, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n > 0 || (n < 0 && errno == EINTR)) return Step::More;
  if (n < 0 && errno == EAGAIN) return blocked();
  if (n < 0 && errno == EINVAL) {  // files opened for appending cannot be spliced to
    by_hand_ = true;
    return Step::More;
  }
  return Step::End;
}

Copier::Step Copier::copy_by_hand() {
  if (pending_.empty()) {
    char buffer[16384];
    const ssize_t n = ::read(from_.raw(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return Step::More;
    if (n < 0 && errno == EAGAIN) return Step::WaitSource;
    if (n <= 0) return Step::End;
    pending_.assign(buffer, static_cast<std::size_t>(n));
  }
  const ssize_t n = ::write(to_.raw(), pending_.data(), pending_.size());
  if (n < 0 && errno == EINTR) return Step::More;
  if (n < 0 && errno == EAGAIN) return Step::WaitSink;
  if (n < 0) return Step::End;
  pending_.erase(0, static_cast<std::size_t>(n));
  return Step::More;
}

void Copier::end() {
  if (watched_ >= 0) loop_.forget(std::exchange(watched_, -1));
  from_.reset();
  if (keep_unread_ && holds_data(to_.raw())) {
    timer_ = loop_.after(kLinger, [this] { end(); });
    return;
  }
  timer_ = 0;
  to_.reset();
  if (const auto finished = std::exchange(finished_, nullptr)) finished();
}

}  // namespace moat::shim
