#include "shim/task/runtime_queue.h"

#include <unistd.h>

#include <algorithm>

namespace moat::shim {

namespace {

// A runtime keeps a core busy for most of its life; more of them side by side only wait for each
// other, and everybody else for them.
std::size_t limit_of_machine() {
  return static_cast<std::size_t>(std::max(4L, 2 * ::sysconf(_SC_NPROCESSORS_ONLN)));
}

// One that takes this long hangs, or waits for something else than a core: it must not hold up
// another's request.
constexpr std::chrono::milliseconds kPatience{1000};

}  // namespace

RuntimeQueue::RuntimeQueue(oci::Loop& loop, Reaper& reaper)
    : loop_(loop), reaper_(reaper), limit_(limit_of_machine()) {}

void RuntimeQueue::run(oci::RuncCall call, std::function<void(Status)> done) {
  waiting_.push_back({std::move(call), std::move(done)});
  if (!posted_) start_next();
}

void RuntimeQueue::start_next() {
  posted_ = false;
  if (waiting_.empty() || busy_ >= limit_) return;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  posted_ = true;  // the one after it comes with the next turn
  loop_.post([this, alive = alive_] {
    if (*alive) start_next();
  });
  start(std::move(next));
}

void RuntimeQueue::start(Waiting waiting) {
  ++busy_;
  if (waiting.call.moves_process) migration_.expect();
  auto counted = std::make_shared<bool>(true);
  const auto leave = [this, counted, alive = alive_] {
    if (!*alive || !std::exchange(*counted, false)) return;
    --busy_;
    if (!posted_) start_next();
  };
  const auto patience = loop_.after(kPatience, leave);
  auto hold = std::make_shared<Reaper::Hold>(reaper_);
  oci::run_runc(loop_, std::move(waiting.call),
                [this, leave, patience, hold, done = std::move(waiting.done)](Status status) {
                  loop_.cancel(patience);
                  done(std::move(status));
                  leave();
                });
}

}  // namespace moat::shim
