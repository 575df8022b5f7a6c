// The last look at a container before untrusted bytes get in: everything of the new boundary is in
// force for what is asked from now on; what was let through before has to have ended, and what is
// open already is told. A process of its own, because a look into a process can take for ever.
//
//   settle PID START-TIME PATIENCE-MS CALL[,CALL...] [SESSION-PID...]
//
// Exit 0: nobody is inside one of the calls; what is carried over is on standard output, see
// carried.h. Exit 1: somebody is, or it could not be told; the reason is on standard output.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "oci/sys.h"
#include "shim/cgroups/cgroup.h"
#include "shim/supervise/carried.h"
#include "shim/supervise/in_flight.h"
#include "shim/supervise/process.h"
#include "shim/supervise/roles.h"

namespace moat::shim {

namespace {

constexpr useconds_t kPause = 1000;  // between two looks, in microseconds
constexpr int kMaxDepth = 64;        // of the process tree above a session's process

struct Container {
  pid_t init = 0;
  std::vector<pid_t> sessions;

  // Sessions are not in the container's phase.
  [[nodiscard]] std::vector<pid_t> processes() const {
    const auto cgroup = Cgroup::of_process(init);
    std::vector<pid_t> all = cgroup ? cgroup->pids() : std::vector<pid_t>{init};
    std::erase_if(all, [this](pid_t pid) { return !sessions.empty() && is_session(pid); });
    return all;
  }

 private:
  [[nodiscard]] bool is_session(pid_t pid) const {
    for (int depth = 0; depth < kMaxDepth && pid > 1 && pid != init; ++depth) {
      if (std::ranges::find(sessions, pid) != sessions.end()) return true;
      pid = parent_of(pid);
    }
    return false;
  }
};

InFlight::Calls calls_of(const std::string& names) {
  InFlight::Calls calls;
  std::istringstream words(names);
  for (std::string name; std::getline(words, name, ',');)
    if (const auto* row = policies::find_syscall(name)) calls.push_back(row);
  return calls;
}

Status wait_for(InFlight& threads, std::int64_t patience) {
  const std::int64_t until = oci::monotonic_ms() + patience;
  while (!threads.look()) {
    if (oci::monotonic_ms() >= until) break;
    ::usleep(kPause);
  }
  const auto inside = threads.inside();
  if (inside.empty()) return {};
  std::string text = "still inside a call that only init allows: " + inside.front();
  if (inside.size() > 1) text += " and " + std::to_string(inside.size() - 1) + " more";
  return fail(Code::DeadlineExceeded, std::move(text));
}

Status settle(const Container& container, std::int64_t patience, const std::string& calls) {
  const auto mounts = mounts_of(container.init);
  if (!mounts) return fail(Error(mounts.error()));
#if defined(__x86_64__)
  InFlight threads(policies::Arch::X86_64, calls_of(calls));
#else
  InFlight threads(policies::Arch::Arm64, calls_of(calls));
#endif
  threads.add(container.processes());
  (void)threads.look();
  threads.add(container.processes());
  if (auto ended = wait_for(threads, patience); !ended) return ended;
  for (const Carried& carried : carried_by(container.processes(), *mounts))
    std::fputs(to_line(carried).c_str(), stdout);
  return {};
}

}  // namespace

int settle_main(int argc, char** argv) {
  if (argc < 6) return 2;
  Container container;
  container.init = static_cast<pid_t>(std::atoi(argv[2]));
  for (int i = 6; i < argc; ++i)
    container.sessions.push_back(static_cast<pid_t>(std::atoi(argv[i])));
  Status status = settle(container, std::atoi(argv[4]), argv[5]);
  if (status && oci::start_time_of(container.init) != std::strtoull(argv[3], nullptr, 10))
    status = fail(Code::NotFound, "the container's init is gone");
  if (status) return 0;
  std::fputs(status.error().what.c_str(), stdout);
  return 1;
}

}  // namespace moat::shim
