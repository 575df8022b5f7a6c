#include "oci/loop.h"

#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "oci/sys.h"

namespace moat::oci {

namespace {
constexpr int kBatch = 64;
constexpr int kTurns = 16;
static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLHUP == POLLHUP &&
              EPOLLERR == POLLERR);
}  // namespace

Result<std::unique_ptr<Loop>> Loop::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno(errno, "epoll_create1");
  return std::unique_ptr<Loop>(new Loop(std::move(epoll)));
}

Status Loop::watch(int fd, std::uint32_t events, Callback callback) {
  epoll_event event{};
  event.events = events;
  const std::uint64_t generation = next_id_++;
  // The low half finds the watch, the high half tells a stale event of a reused number.
  event.data.u64 = (generation << 32) | static_cast<std::uint32_t>(fd);
  if (::epoll_ctl(epoll_.raw(), EPOLL_CTL_ADD, fd, &event) != 0)
    return fail_errno(errno, "epoll_ctl add");
  watches_[fd] =
      Watch{generation & 0xffffffffU, events, std::make_shared<Callback>(std::move(callback))};
  return {};
}

int Loop::listen_for(int fd, const Watch& watch, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = (watch.generation << 32) | static_cast<std::uint32_t>(fd);
  return ::epoll_ctl(epoll_.raw(), EPOLL_CTL_MOD, fd, &event);
}

Status Loop::change(int fd, std::uint32_t events) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return fail(Code::NotFound, "descriptor is not watched");
  found->second.events = events;
  if (fd != favoured_ && listen_for(fd, found->second, events) != 0)
    return fail_errno(errno, "epoll_ctl mod");
  return {};
}

// In epoll it stays, for its end only: what it has to say would be told twice.
void Loop::favour(int fd) {
  if (fd == favoured_) return;
  const auto found = watches_.find(fd);
  if (found == watches_.end() || listen_for(fd, found->second, 0) != 0) return;
  const auto before = watches_.find(std::exchange(favoured_, fd));
  if (before != watches_.end())
    (void)listen_for(before->first, before->second, before->second.events);
}

void Loop::forget(int fd) {
  if (watches_.erase(fd) == 0) return;
  if (fd == favoured_) favoured_ = -1;
  ::epoll_ctl(epoll_.raw(), EPOLL_CTL_DEL, fd, nullptr);
}

Loop::TimerId Loop::after(std::chrono::milliseconds delay, Task task) {
  const TimerId id = next_id_++;
  timers_.emplace(monotonic_ms() + delay.count(), std::make_pair(id, std::move(task)));
  return id;
}

void Loop::cancel(TimerId id) {
  for (auto it = timers_.begin(); it != timers_.end(); ++it) {
    if (it->second.first != id) continue;
    timers_.erase(it);
    return;
  }
}

void Loop::post(Task task) {
  posted_.push_back(std::move(task));
}

int Loop::next_timeout() const {
  if (!posted_.empty()) return 0;
  if (timers_.empty()) return -1;
  const std::int64_t left = timers_.begin()->first - monotonic_ms();
  if (left <= 0) return 0;
  return left > INT_MAX ? INT_MAX : static_cast<int>(left);
}

void Loop::run_due() {
  std::vector<Task> posted;
  posted.swap(posted_);
  for (Task& task : posted) task();
  while (!timers_.empty() && timers_.begin()->first <= monotonic_ms()) {
    Task task = std::move(timers_.begin()->second.second);
    timers_.erase(timers_.begin());
    task();
  }
}

void Loop::drop_all() {
  // A callback may own what forgets, cancels or posts in its destructor: never under the loop's
  // own containers.
  favoured_ = -1;
  while (!watches_.empty() || !timers_.empty() || !posted_.empty()) {
    const auto watches = std::exchange(watches_, {});
    const auto timers = std::exchange(timers_, {});
    const auto posted = std::exchange(posted_, {});
  }
}

// Its asker often has the next question ready: looking costs less than waiting would. Bounded, as
// others wait meanwhile. True when they have something to say.
bool Loop::serve_favoured() {
  std::array<pollfd, 2> both{{{favoured_, 0, 0}, {epoll_.raw(), POLLIN, 0}}};
  pollfd& own = both[0];
  for (int turn = 0; turn <= kTurns; ++turn) {
    const auto found = watches_.find(own.fd);
    if (found == watches_.end()) return true;
    own.events = static_cast<short>(found->second.events);
    const bool last = turn == kTurns || ::poll(&own, 1, 0) <= 0;
    if (last && ::poll(both.data(), both.size(), next_timeout()) <= 0) return false;
    if (own.revents != 0) {
      const auto callback = found->second.callback;  // survives a forget() from inside
      (*callback)(static_cast<std::uint32_t>(own.revents));
    }
    if (last || stopping_ || favoured_ != own.fd || !posted_.empty()) break;
  }
  return both[1].revents != 0;
}

void Loop::serve(int timeout) {
  std::array<epoll_event, kBatch> events;
  const int count = ::epoll_wait(epoll_.raw(), events.data(), kBatch, timeout);
  for (int i = 0; i < count && !stopping_; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const auto found = watches_.find(static_cast<int>(data & 0xffffffffU));
    if (found == watches_.end() || found->second.generation != data >> 32) continue;
    const auto callback = found->second.callback;
    (*callback)(events[static_cast<std::size_t>(i)].events);
  }
}

void Loop::run() {
  while (!stopping_) {
    if (favoured_ < 0)
      serve(next_timeout());
    else if (serve_favoured() && !stopping_)
      serve(0);
    run_due();
  }
  stopping_ = false;
}

}  // namespace moat::oci
