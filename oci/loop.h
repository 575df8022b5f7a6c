// The event loop: epoll, timers, and nothing else. One thread; callbacks must not block.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::oci {

class Loop {
 public:
  using Callback = std::function<void(std::uint32_t events)>;  // EPOLL* bits
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;

  static Result<std::unique_ptr<Loop>> create();
  ~Loop() { drop_all(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Watches a borrowed descriptor (level-triggered). The owner calls forget() before closing it.
  Status watch(int fd, std::uint32_t events, Callback callback);
  Status change(int fd, std::uint32_t events);
  void forget(int fd);

  // Waits for this watched descriptor itself, beside epoll for the rest, until another is favoured.
  // For who is answered in turns with its asker: seccomp's synchronous wake-up (Linux 6.6) goes to
  // the CPU where the asker is about to sleep, and epoll does not pass that on as poll does.
  void favour(int fd);

  TimerId after(std::chrono::milliseconds delay, Task task);
  void cancel(TimerId id);  // unknown ids are fine

  void post(Task task);  // runs on the next turn, in order
  void run();            // until stop(); may be called again after it
  void stop() { stopping_ = true; }

  // Lets go of every callback and what it owns, while that may still use the loop: before the end
  // of whatever callbacks refer to.
  void drop_all();

 private:
  explicit Loop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  int next_timeout() const;
  bool serve_favoured();
  void serve(int timeout);
  void run_due();

  struct Watch {
    std::uint64_t generation;
    std::uint32_t events;
    std::shared_ptr<Callback> callback;
  };
  int listen_for(int fd, const Watch& watch, std::uint32_t events);
  UniqueFd epoll_;
  std::unordered_map<int, Watch> watches_;
  std::multimap<std::int64_t, std::pair<TimerId, Task>> timers_;  // by due time, monotonic ms
  std::vector<Task> posted_;
  std::uint64_t next_id_ = 1;
  int favoured_ = -1;
  bool stopping_ = false;
};

}  // namespace moat::oci
