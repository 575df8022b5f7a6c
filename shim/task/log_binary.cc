#include "shim/task/log_binary.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <array>
#include <csignal>

#include "oci/sys.h"
#include "shim/log.h"

namespace moat::shim {

namespace {

// A program that has not opened its files by then will not, and a Create has two minutes.
constexpr std::chrono::milliseconds kReadyDeadline{10000};
// How long containerd's own shim lets one write out what it has after SIGTERM.
constexpr std::chrono::milliseconds kStopDeadline{12000};

}  // namespace

Result<std::shared_ptr<LogBinary>> LogBinary::start(const Place& place, const StdioTarget& target,
                                                    int out, int err) {
  std::array<int, 2> ready{};
  if (::pipe2(ready.data(), O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  std::shared_ptr<LogBinary> self(new LogBinary(place, target));
  self->ready_ = UniqueFd(ready[0]);
  const UniqueFd told(ready[1]);
  oci::Command command;
  command.argv = {target.path};
  command.argv.insert(command.argv.end(), target.arguments.begin(), target.arguments.end());
  command.env = {"CONTAINER_ID=" + place.container_id, "CONTAINER_NAMESPACE=" + place.ns};
  command.fds = {{out, 3}, {err, 4}, {told.raw(), 5}};
  auto child = oci::spawn(command);
  if (!child) return fail(std::move(child.error()).in("logging binary"));
  self->child_ = std::move(*child);
  place.reaper.know(self->child_.pid);
  auto watched = self->watch();
  if (watched) return self;
  self->stop();
  return fail(std::move(watched.error()));
}

Status LogBinary::watch() {
  auto watched = loop_.watch(child_.pidfd.raw(), EPOLLIN,
                             [self = shared_from_this()](std::uint32_t) { self->on_exit(); });
  if (!watched) return watched;
  return loop_.watch(ready_.raw(), EPOLLIN,
                     [self = shared_from_this()](std::uint32_t) { self->on_ready(); });
}

void LogBinary::on_ready() {
  char byte = 0;
  const ssize_t n = ::read(ready_.raw(), &byte, 1);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n == 1 || !ready_byte_) return settle({});
  settle(fail(Code::Unknown, "logging binary " + path_ +
                                 " closed descriptor 5 without the byte that says it is ready"));
}

void LogBinary::settle(Status ready) {
  if (std::exchange(settled_, true)) return;
  loop_.forget(ready_.raw());
  ready_.reset();
  loop_.cancel(std::exchange(deadline_, 0));
  outcome_ = std::move(ready);
  if (const auto done = std::exchange(when_ready_, nullptr)) done(outcome_);
}

void LogBinary::when_ready(std::function<void(Status)> done) {
  if (settled_) return done(outcome_);
  when_ready_ = std::move(done);
  deadline_ = loop_.after(kReadyDeadline, [self = shared_from_this()] {
    self->settle(fail(Code::DeadlineExceeded,
                      "logging binary " + self->path_ + " was not ready within " +
                          std::to_string(kReadyDeadline.count() / 1000) +
                          " s: it must close descriptor 5, or write a byte to it (binary-v2)"));
  });
}

void LogBinary::on_exit() {
  const auto exit = oci::reap(child_.pidfd.raw());
  if (!exit && exit.error().code == Code::Unavailable) return;
  if (exit && exit->status != 0)
    log_warning("a logging binary failed",
                {{"binary", path_}, {"status", std::to_string(exit->status)}});
  const auto self = shared_from_this();  // what we forget holds us
  loop_.forget(child_.pidfd.raw());
  child_.pidfd.reset();
  reaper_.forget(child_.pid);
  loop_.cancel(std::exchange(kill_, 0));
  if (!settled_) on_ready();
  if (const auto done = std::exchange(when_gone_, nullptr)) done();
}

void LogBinary::when_gone(std::function<void()> done) {
  if (gone()) return done();
  when_gone_ = std::move(done);
}

void LogBinary::stop() {
  when_ready_ = nullptr;
  when_gone_ = nullptr;
  if (gone() || kill_ != 0) return;
  (void)oci::pidfd_signal(child_.pidfd.raw(), SIGTERM);
  kill_ = loop_.after(kStopDeadline, [self = shared_from_this()] {
    if (!self->gone()) (void)oci::pidfd_signal(self->child_.pidfd.raw(), SIGKILL);
  });
}

}  // namespace moat::shim
