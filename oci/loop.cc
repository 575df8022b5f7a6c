#include "oci/loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "oci/sys.h"

namespace moat::oci {

namespace {
constexpr int kBatch = 64;
}

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
  watches_[fd] = Watch{generation & 0xffffffffU, std::make_shared<Callback>(std::move(callback))};
  return {};
}

Status Loop::change(int fd, std::uint32_t events) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return fail(Code::NotFound, "descriptor is not watched");
  epoll_event event{};
  event.events = events;
  event.data.u64 = (found->second.generation << 32) | static_cast<std::uint32_t>(fd);
  if (::epoll_ctl(epoll_.raw(), EPOLL_CTL_MOD, fd, &event) != 0)
    return fail_errno(errno, "epoll_ctl mod");
  return {};
}

void Loop::forget(int fd) {
  if (watches_.erase(fd) == 0) return;
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
  while (!watches_.empty() || !timers_.empty() || !posted_.empty()) {
    const auto watches = std::exchange(watches_, {});
    const auto timers = std::exchange(timers_, {});
    const auto posted = std::exchange(posted_, {});
  }
}

void Loop::run() {
  std::array<epoll_event, kBatch> events{};
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.raw(), events.data(), kBatch, next_timeout());
    for (int i = 0; i < count && !stopping_; ++i) {
      const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
      const auto found = watches_.find(static_cast<int>(data & 0xffffffffU));
      if (found == watches_.end() || found->second.generation != data >> 32) continue;
      const auto callback = found->second.callback;  // survives a forget() from inside
      (*callback)(events[static_cast<std::size_t>(i)].events);
    }
    run_due();
  }
  stopping_ = false;
}

}  // namespace moat::oci
