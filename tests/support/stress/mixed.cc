// Honest calls and attempts side by side, and how long each took: the honest ones must succeed, the
// attempts never, whatever happens to who answers them.
//
//   --pace MICROSECONDS    between the calls of a thread (500)
//   --urg restart|plain    SIGURG to every thread each 100 µs, with SA_RESTART or without
//   --stall FILE COUNT     so many threads whose paths are in pages of FILE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "stress.h"

namespace moat::stress {

namespace {

struct Options {
  useconds_t pace = 500;
  std::string urg;
  std::string stall;
  unsigned stalled = 0;
};

Options parse(const Words& words) {
  Options options;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--pace") options.pace = static_cast<useconds_t>(std::stoul(words[i + 1]));
    if (words[i] == "--urg") options.urg = words[i + 1];
    if (words[i] == "--stall" && i + 2 < words.size()) {
      options.stall = words[i + 1];
      options.stalled = static_cast<unsigned>(std::stoul(words[i + 2]));
    }
  }
  return options;
}

// Of all threads of a kind together.
struct Fared {
  std::mutex mutex;
  long calls = 0, succeeded = 0, failed = 0, interrupted = 0;
  std::int64_t longest_us = 0;  // of one call
  std::int64_t outage_us = 0;   // of one thread: from the begin of its first failure to a success
  std::set<int> errors;
};

class Tally {
 public:
  explicit Tally(Fared& fared) : fared_(fared) {}
  void note(std::int64_t begun, int result) {
    const std::int64_t now = now_us();
    const std::lock_guard lock(fared_.mutex);
    ++fared_.calls;
    fared_.longest_us = std::max(fared_.longest_us, now - begun);
    if (result == EINTR) {
      ++fared_.interrupted;
    } else if (result == 0) {
      ++fared_.succeeded;
      if (failing_since_ != 0) fared_.outage_us = std::max(fared_.outage_us, now - failing_since_);
      failing_since_ = 0;
    } else {
      ++fared_.failed;
      fared_.errors.insert(result);
      if (failing_since_ == 0) failing_since_ = begun;
      fared_.outage_us = std::max(fared_.outage_us, now - failing_since_);
    }
  }

 private:
  Fared& fared_;
  std::int64_t failing_since_ = 0;
};

// And begins anew.
void tell(const char* what, Fared& fared) {
  const std::lock_guard lock(fared.mutex);
  std::string errors;
  for (const int error : fared.errors) errors += std::string(",") + ::strerrorname_np(error);
  say("%s calls=%ld succeeded=%ld failed=%ld interrupted=%ld longest_ms=%ld outage_ms=%ld "
      "errors=%s",
      what, fared.calls, fared.succeeded, fared.failed, fared.interrupted, fared.longest_us / 1000,
      fared.outage_us / 1000, errors.empty() ? "-" : errors.c_str() + 1);
  fared.calls = fared.succeeded = fared.failed = fared.interrupted = 0;
  fared.longest_us = fared.outage_us = 0;
  fared.errors.clear();
}

class Crew {
 public:
  template <class F>
  void add(F work) {
    threads_.emplace_back([this, work]() mutable {
      {
        const std::lock_guard lock(mutex_);
        ids_.push_back(static_cast<pid_t>(::syscall(SYS_gettid)));
      }
      while (!stopping) work();
    });
  }
  void signal_all(int signal) {
    const std::lock_guard lock(mutex_);
    for (const pid_t id : ids_) ::syscall(SYS_tgkill, ::getpid(), id, signal);
  }
  void detach() {
    for (std::thread& thread : threads_) thread.detach();
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> ids_;
  std::vector<std::thread> threads_;
};

// A folder made and removed: a call that is carried out twice finds what it has made. What was
// refused is asked for again.
class Folder {
 public:
  Folder(std::string path, Fared& fared) : path_(std::move(path)), tally_(fared) {}
  void step() {
    const std::int64_t begun = now_us();
    const bool done = (there_ ? ::rmdir(path_.c_str()) : ::mkdir(path_.c_str(), 0700)) == 0;
    tally_.note(begun, done ? 0 : errno);
    if (done) there_ = !there_;
  }

 private:
  std::string path_;
  Tally tally_;
  bool there_ = false;
};

void storm(Crew& crew, const std::string& how) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = how == "restart" ? SA_RESTART : 0;
  ::sigaction(SIGURG, &action, nullptr);
  std::thread([&crew] {
    for (;;) {
      crew.signal_all(SIGURG);
      ::usleep(100);
    }
  }).detach();
}

// While it may still be opened: in `init`.
const char* map_stalled(const Options& options) {
  const int fd = ::open(options.stall.c_str(), O_RDONLY | O_CLOEXEC);
  void* pages = ::mmap(nullptr, std::size_t{options.stalled} * 4096, PROT_READ, MAP_SHARED, fd, 0);
  if (pages == MAP_FAILED) say("no pages: %s", std::strerror(errno));
  return pages == MAP_FAILED ? nullptr : static_cast<const char*>(pages);
}

void stall(const char* pages, unsigned count, Fared& fared) {
  for (unsigned i = 0; i < count; ++i)
    std::thread([&fared, path = pages + std::size_t{i} * 4096] {
      Tally tally(fared);
      const std::int64_t begun = now_us();
      const int opened = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      tally.note(begun, opened >= 0 ? 0 : errno);
    }).detach();
}

}  // namespace

int mixed(const Words& words) {
  const Options options = parse(words);
  static Fared honest, attempts, stalled;
  static Crew crew;
  const char* const pages = options.stalled > 0 ? map_stalled(options) : nullptr;
  if (!begin_load()) return 3;
  for (int i = 0; i < 2; ++i)
    crew.add([&options, tally = Tally(honest), name = "honest." + std::to_string(i)]() mutable {
      const std::int64_t begun = now_us();
      tally.note(begun, open_scratch(name));
      ::usleep(options.pace);
    });
  crew.add([&options, folder = Folder("/tmp/folder", honest)]() mutable {
    folder.step();
    ::usleep(options.pace);
  });
  for (const Attempt attempt : kAttempts)
    crew.add([&options, attempt, tally = Tally(attempts)]() mutable {
      const std::int64_t begun = now_us();
      tally.note(begun, attempt());
      ::usleep(options.pace);
    });
  if (!options.urg.empty()) storm(crew, options.urg);
  if (pages != nullptr) stall(pages, options.stalled, stalled);
  say("working");
  const auto tell_all = [] {
    tell("honest", honest);
    tell("attempts", attempts);
    tell("stalled", stalled);
  };
  while (!stopping) {
    ::usleep(10000);
    if (asked) tell_all();
    asked = false;
  }
  crew.join();
  tell_all();
  ::_exit(0);
}

}  // namespace moat::stress
