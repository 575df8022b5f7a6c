#include "shim/ctl/log_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace moat::shim::ctl {

namespace {

constexpr std::uint32_t kNames = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

}  // namespace

Result<LogWatch> LogWatch::create() {
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return fail_errno(errno, "inotify_init1");
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno(errno, "sigprocmask");
  UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return fail_errno(errno, "signalfd");
  return LogWatch(std::move(inotify), std::move(signals));
}

Result<bool> LogWatch::add(const std::string& folder) {
  const int number = ::inotify_add_watch(inotify_.raw(), folder.c_str(),
                                         IN_MODIFY | kNames | IN_ONLYDIR | IN_DONT_FOLLOW);
  if (number >= 0) return watched_.emplace(number, folder).second;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return fail_errno(errno, "cannot watch " + folder);
}

Result<Changes> LogWatch::wait() {
  Changes changes;
  std::array<pollfd, 3> fds{pollfd{inotify_.raw(), POLLIN, 0}, pollfd{signals_.raw(), POLLIN, 0},
                            pollfd{STDOUT_FILENO, 0, 0}};  // 0: only "the reader is gone"
  if (::poll(fds.data(), fds.size(), -1) < 0) {
    if (errno == EINTR) return changes;
    return fail_errno(errno, "poll");
  }
  changes.stop = fds[1].revents != 0 || (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
  if (auto read = read_changes(changes); !read) return fail(std::move(read.error()));
  return changes;
}

Status LogWatch::read_changes(Changes& changes) {
  alignas(inotify_event) std::array<char, 16384> bytes;
  for (;;) {
    const ssize_t n = ::read(inotify_.raw(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return {};
    if (n <= 0) return fail_errno(errno, "inotify");
    inotify_event event;
    for (std::size_t at = 0; at < static_cast<std::size_t>(n); at += sizeof event + event.len) {
      std::memcpy(&event, bytes.data() + at, sizeof event);
      // After an overflow anything may have happened.
      if ((event.mask & (kNames | IN_Q_OVERFLOW)) != 0) changes.names = true;
      if ((event.mask & IN_IGNORED) != 0) watched_.erase(event.wd);
      if (const auto folder = watched_.find(event.wd); folder != watched_.end())
        changes.folders.insert(folder->second);
    }
  }
}

}  // namespace moat::shim::ctl
