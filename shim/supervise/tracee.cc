#include "shim/supervise/tracee.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

namespace moat::shim {

struct Reader::Job {
  std::uint64_t id;
  ReadRequest request;
};

// Owned by the loop and by every worker: a stuck worker outlives the reader without harm.
struct Reader::Shared {
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<Job> jobs;
  std::deque<std::pair<std::uint64_t, Claims>> results;
  std::map<std::uint64_t, bool> running;  // job → a worker is inside its read
  std::size_t idle = 0;
  std::size_t workers = 0;
  std::size_t stuck = 0;
  bool stop = false;
  UniqueFd wake;
};

namespace {

constexpr std::size_t kStack = 128U << 10;  // a worker holds a few path buffers

// A page that never arrives can keep a thread from dying, and its process with it: neither its
// pidfd nor its descriptors would tell that the supervisor was killed. So a worker has descriptors
// of its own, and the shim's socket is closed with the thread that answers.
bool leave_descriptors(int wake) {
  if (::unshare(CLONE_FILES) != 0) return false;
  const auto number = static_cast<unsigned>(wake);
  constexpr unsigned kLast = ~0U;
  return (number == 0 || ::syscall(SYS_close_range, 0U, number - 1, 0U) == 0) &&
         ::syscall(SYS_close_range, number + 1, kLast, 0U) == 0;
}

}  // namespace

Result<std::unique_ptr<Reader>> Reader::create(oci::Loop& loop) {
  std::unique_ptr<Reader> reader(new Reader(loop));
  reader->shared_ = std::make_shared<Shared>();
  reader->shared_->wake = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!reader->shared_->wake.valid()) return fail_errno(errno, "eventfd");
  auto watched = loop.watch(reader->shared_->wake.raw(), EPOLLIN,
                            [raw = reader.get()](std::uint32_t) { raw->collect(); });
  if (!watched) return fail(std::move(watched.error()));
  return reader;
}

Reader::~Reader() {
  loop_.forget(shared_->wake.raw());
  const std::lock_guard lock(shared_->mutex);
  shared_->stop = true;
  shared_->ready.notify_all();
}

void Reader::start_worker() {
  auto* argument = new std::shared_ptr<Shared>(shared_);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStack);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  const auto work = [](void* raw) -> void* {
    const std::unique_ptr<std::shared_ptr<Shared>> owned(
        static_cast<std::shared_ptr<Shared>*>(raw));
    Shared& shared = **owned;
    if (!leave_descriptors(shared.wake.raw())) return nullptr;
    std::unique_lock lock(shared.mutex);
    for (;;) {
      ++shared.idle;
      shared.ready.wait(lock, [&] { return shared.stop || !shared.jobs.empty(); });
      --shared.idle;
      if (shared.stop) return nullptr;
      const Job job = std::move(shared.jobs.front());
      shared.jobs.pop_front();
      shared.running[job.id] = true;
      lock.unlock();
      Claims claims = read_claims(job.request);
      lock.lock();
      if (shared.running.erase(job.id) == 0) --shared.stuck;  // it was given up; it lives again
      shared.results.emplace_back(job.id, std::move(claims));
      const std::uint64_t one = 1;
      (void)!::write(shared.wake.raw(), &one, sizeof one);
    }
  };
  if (::pthread_create(&thread, &attributes, work, argument) == 0)
    ++shared_->workers;
  else
    delete argument;
  ::pthread_attr_destroy(&attributes);
}

void Reader::read(const ReadRequest& request, std::function<void(std::optional<Claims>)> done) {
  const std::uint64_t id = next_++;
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->stuck >= kMaxReaders) {
      loop_.post([done = std::move(done)] { done(std::nullopt); });
      return;
    }
    shared_->jobs.push_back(Job{id, request});
    // One reader is enough until one is held up: then the next job must not wait behind it.
    if (shared_->idle < shared_->jobs.size() && shared_->workers < kMaxReaders) start_worker();
    shared_->ready.notify_one();
  }
  waiting_.emplace(id, std::move(done));
  timers_.emplace(id, loop_.after(kDeadline, [this, id] { give_up(id); }));
}

void Reader::collect() {
  std::uint64_t count = 0;
  (void)!::read(shared_->wake.raw(), &count, sizeof count);
  std::deque<std::pair<std::uint64_t, Claims>> results;
  {
    const std::lock_guard lock(shared_->mutex);
    results.swap(shared_->results);
  }
  for (auto& [id, claims] : results) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) continue;  // too late: refused already
    auto done = std::move(found->second);
    waiting_.erase(found);
    loop_.cancel(timers_[id]);
    timers_.erase(id);
    done(std::move(claims));
  }
}

void Reader::give_up(std::uint64_t job) {
  const auto found = waiting_.find(job);
  if (found == waiting_.end()) return;
  auto done = std::move(found->second);
  waiting_.erase(found);
  timers_.erase(job);
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->running.erase(job) != 0) {
      ++shared_->stuck;
    } else {
      std::erase_if(shared_->jobs, [job](const Job& waiting) { return waiting.id == job; });
    }
  }
  done(std::nullopt);
}

}  // namespace moat::shim
