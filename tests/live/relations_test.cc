// Who is whose, by the kernel's process table: what a signal without process.cross may reach.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "oci/sys.h"
#include "shim/supervise/process.h"

namespace moat::shim {
namespace {

// A child that waits to be killed, after `body`.
class Child {
 public:
  explicit Child(const std::function<void()>& body = {}, int flags = 0) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
    if (pid_ == 0) {
      ::alarm(60);
      if (body) body();
      (void)!::write(ready[1], "x", 1);
      for (;;) ::pause();
    }
    char byte = 0;
    ::close(ready[1]);
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

pid_t thread_id() {
  return static_cast<pid_t>(::syscall(SYS_gettid));
}

TEST(OwnNumber, IsTheProcessesAndTheThreadsAndNoOther) {
  const pid_t pid = ::getpid();
  EXPECT_TRUE(is_own_number(pid, pid));
  for (const pid_t other : {::getppid(), 1, 0, -1, -pid, pid + 1})
    EXPECT_FALSE(is_own_number(pid, other)) << other;
  std::thread([&] {
    EXPECT_TRUE(is_own_number(thread_id(), thread_id()));
    EXPECT_TRUE(is_own_number(thread_id(), pid));
    EXPECT_FALSE(is_own_number(pid, thread_id())) << "a sibling may end meanwhile";
  }).join();
}

TEST(OwnNumber, IsTheOneOfTheInnermostNamespace) {
  const Child first({}, CLONE_NEWPID);
  EXPECT_TRUE(is_own_number(first.pid(), 1));
  EXPECT_FALSE(is_own_number(first.pid(), first.pid())) << "what we call it is another's there";
}

TEST(ChildOf, FindsAChildWhileItIsOne) {
  Child child;
  EXPECT_TRUE(child_of(::getpid(), child.pid()).valid());
  std::thread([&] {
    EXPECT_TRUE(child_of(thread_id(), child.pid()).valid()) << "of the process, whoever forked";
  }).join();
  const pid_t was = child.pid();
  child.end();
  EXPECT_FALSE(child_of(::getpid(), was).valid());
}

TEST(ChildOf, FindsNobodyElse) {
  const Child child, sibling;
  for (const pid_t other : {::getpid(), ::getppid(), 1, 0, -1})
    EXPECT_FALSE(child_of(::getpid(), other).valid()) << other;
  EXPECT_FALSE(child_of(child.pid(), sibling.pid()).valid());
  EXPECT_FALSE(child_of(child.pid(), ::getpid()).valid()) << "a parent";
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Child between([&] {
    const pid_t inner = ::fork();
    if (inner == 0)
      for (;;) ::pause();
    (void)!::write(ends[1], &inner, sizeof inner);
  });
  pid_t inner = 0;
  ASSERT_EQ(::read(ends[0], &inner, sizeof inner), static_cast<ssize_t>(sizeof inner));
  EXPECT_TRUE(child_of(between.pid(), inner).valid());
  EXPECT_FALSE(child_of(::getpid(), inner).valid()) << "a grandchild";
  ::kill(inner, SIGKILL);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(ChildOf, NotOfAnotherUserNorAnotherCgroup) {
  const Child user([] {
    if (::setuid(65534) != 0) ::_exit(1);
  });
  EXPECT_FALSE(child_of(::getpid(), user.pid()).valid());
  struct stat status {};
  const std::string root = ::stat("/sys/fs/cgroup/cgroup.controllers", &status) == 0
                               ? "/sys/fs/cgroup"
                               : "/sys/fs/cgroup/unified";
  const std::string group = root + "/moat-child-" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(group.c_str(), 0755), 0);
  {
    const Child moved([&] {
      const auto procs = oci::open_file(group + "/cgroup.procs", O_WRONLY);
      if (!procs || !oci::write_all(procs->raw(), "0")) ::_exit(1);
    });
    EXPECT_FALSE(child_of(::getpid(), moved.pid()).valid()) << "as a session's orphan";
  }
  ::rmdir(group.c_str());
}

}  // namespace
}  // namespace moat::shim
