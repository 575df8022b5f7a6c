// A child process for tests: runs a function in a process of its own (with its own mount namespace
// if asked), says when it is ready, and is killed when the test is over.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace moat::test {

class Victim {
 public:
  // `body` runs in the child; when it returns the child waits to be killed. The constructor returns
  // once `body` has returned, with what it returned in result().
  explicit Victim(const std::function<std::uint64_t()>& body, int namespaces = 0) {
    int ready[2];
    if (::pipe(ready) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ready[0]);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (namespaces != 0 && ::unshare(namespaces) != 0) ::_exit(1);
      if ((namespaces & CLONE_NEWNS) != 0)
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
      const std::uint64_t result = body();
      if (::write(ready[1], &result, sizeof result) != sizeof result) ::_exit(1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    ok_ = ::read(ready[0], &result_, sizeof result_) == sizeof result_;
    ::close(ready[0]);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  ~Victim() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::uint64_t result() const { return result_; }

 private:
  pid_t pid_ = -1;
  bool ok_ = false;
  std::uint64_t result_ = 0;
};

}  // namespace moat::test
