// Many processes, many threads, many descriptors.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <thread>

#include "stress.h"

namespace moat::stress {

int bomb() {
  if (!begin_load()) return 3;
  ::signal(SIGCHLD, SIG_IGN);
  for (;;) {
    (void)!::fork();  // both go on
    for (const Attempt attempt : kAttempts) (void)attempt();
  }
}

int descriptors(unsigned threads) {
  if (!begin_load()) return 3;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  long opened = 0;
  while (opened < 1000000 && ::dup(STDERR_FILENO) >= 0) ++opened;
  ::close(static_cast<int>(opened));  // a few are needed to attempt anything
  ::close(static_cast<int>(opened) - 1);
  for (unsigned i = 0; i < threads; ++i)
    std::thread([i] {
      for (;;) (void)kAttempts[i % std::size(kAttempts)]();
    }).detach();
  say("working with %ld descriptors", opened);
  while (!stopping) ::usleep(10000);
  ::_exit(0);
}

namespace {

std::set<pid_t> start_bystanders(int count) {
  std::set<pid_t> pids;
  for (int i = 0; i < count; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) {
        if (open_scratch("bystander." + std::to_string(i)) == 0) continue;
        ::usleep(200);
      }
    }
    pids.insert(pid);
  }
  return pids;
}

// At a moment by chance a process that asks ends, by its own timer: its parent may not kill it.
void die_soon() {
  itimerval timer{};
  timer.it_value.tv_usec = 1 + std::rand() % 1500;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

// Each child asks until it dies: before, while and after somebody looks at it. Its number is soon
// another's.
int recycle(unsigned seconds) {
  if (!begin_load()) return 3;
  const std::set<pid_t> bystanders = start_bystanders(8);
  say("working");
  long made = 0, died = 0, lived = 0;
  int lowest = 1 << 30, highest = 0;
  const std::int64_t until = now_us() + std::int64_t{seconds} * 1000000;
  while (now_us() < until) {
    const int which = std::rand();
    const pid_t child = ::fork();
    if (child == 0) {
      std::srand(static_cast<unsigned>(::getpid()));
      die_soon();
      while (kAttempts[which % 4]() != 0) continue;
      ::_exit(7);
    }
    if (child < 0) continue;
    ++made;
    lowest = std::min(lowest, child);
    highest = std::max(highest, child);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 7) ++lived;
    while (bystanders.contains(::waitpid(-1, nullptr, WNOHANG))) ++died;
  }
  say("recycled made=%ld numbers=%d succeeded=%ld bystanders_died=%ld", made, highest - lowest + 1,
      lived, died);
  return 0;
}

}  // namespace moat::stress
