// The first process of a pod in tests: waits, and reaps what a shared process namespace leaves it.
#include <csignal>

#include <sys/wait.h>

#include <initializer_list>

int main() {
  sigset_t waited;
  sigemptyset(&waited);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&waited, signal);
  sigprocmask(SIG_BLOCK, &waited, nullptr);
  for (int signal = 0; sigwait(&waited, &signal) == 0;) {
    if (signal != SIGCHLD) return 0;
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
  return 1;
}
