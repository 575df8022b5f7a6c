// trip PID ROLE CALL N kill|stop|fail: waits until the process PID, or the next one it starts whose
// first argument is ROLE ("-": PID itself), begins its Nth CALL, and lets it end there: killed,
// stopped, or with ENOSYS (x86-64). Prints its number. Says "ready" first, when it is watching.
#include <seccomp.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace {

constexpr int kTraced = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

struct Trip {
  pid_t parent;
  std::string role, action;
  int call, left;
  pid_t target = 0;

  [[nodiscard]] bool is_meant(pid_t pid) const {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    const std::size_t first = line.find('\0');
    return first != std::string::npos && line.c_str() + first + 1 == role;
  }
  [[nodiscard]] bool begins_call(pid_t pid) const {
    __ptrace_syscall_info info{};
    const long size = ::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
    return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
           info.entry.nr == static_cast<__u64>(call);
  }
};

void go_on(const Trip& trip, pid_t pid, int signal) {
  ::ptrace(pid == trip.target ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
}

// Everybody is let go of, the stopped one as it is.
int finish(const Trip& trip, pid_t pid) {
  std::printf("%d\n", pid);
  if (trip.action == "kill") ::kill(pid, SIGKILL);
#if defined(__x86_64__)
  if (trip.action == "fail") ::ptrace(PTRACE_POKEUSER, pid, offsetof(user, regs.orig_rax), -1L);
#endif
  ::ptrace(PTRACE_DETACH, pid, 0, trip.action == "stop" ? SIGSTOP : 0);
  if (pid == trip.parent) return 0;
  int status = 0;
  if (trip.action == "kill") ::waitpid(pid, &status, __WALL);
  ::ptrace(PTRACE_INTERRUPT, trip.parent, 0, 0);
  while (::waitpid(trip.parent, &status, __WALL) == trip.parent && WIFSTOPPED(status)) {
    const int signal = WSTOPSIG(status);
    const bool ours = (status >> 16) != 0;
    ::ptrace(PTRACE_DETACH, trip.parent, 0, ours ? 0 : signal);
    return 0;
  }
  return 1;
}

int watch(Trip& trip) {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) continue;
    const int signal = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) {
      if (trip.target == 0 && trip.is_meant(pid)) trip.target = pid;
      go_on(trip, pid, 0);
    } else if (event != 0) {
      go_on(trip, pid, 0);
    } else if (signal == kTraced) {
      if (trip.begins_call(pid) && --trip.left == 0) return finish(trip, pid);
      go_on(trip, pid, 0);
    } else {
      go_on(trip, pid, signal);
    }
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  Trip trip{static_cast<pid_t>(std::atoi(argv[1])), argv[2], argv[5],
            ::seccomp_syscall_resolve_name(argv[3]), std::atoi(argv[4])};
  if (trip.role == "-") trip.target = trip.parent;
  const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                       PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD;
  if (::ptrace(PTRACE_SEIZE, trip.parent, 0, options) != 0) {
    std::perror("ptrace");
    return 1;
  }
  if (trip.target != 0) ::ptrace(PTRACE_INTERRUPT, trip.parent, 0, 0);
  std::fputs("ready\n", stdout);
  std::fflush(stdout);
  return watch(trip);
}
