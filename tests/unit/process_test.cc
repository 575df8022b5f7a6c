#include "shim/supervise/process.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "oci/sys.h"

namespace moat::shim {
namespace {

constexpr const char* kInit =
    "12:pids:/default/c1\n"
    "1:name=systemd:/default/c1\n"
    "0::/default/c1\n";

TEST(Membership, HoldsTheContainersTasksAndThoseInCgroupsBelow) {
  const Membership members{std::string(kInit)};
  EXPECT_TRUE(members.contains("0::/default/c1\n"));
  EXPECT_TRUE(members.contains("12:pids:/default/c1/sub\n0::/\n"));
  EXPECT_FALSE(members.contains("0::/default/c10\n"));
  EXPECT_FALSE(members.contains("0::/\n"));
  EXPECT_FALSE(members.contains(""));
}

TEST(Membership, IsNotEverybodyWhenTheContainerSitsInTheRoot) {
  const Membership members{std::string("0::/\n3:cpu:/default/c1\n")};
  EXPECT_FALSE(members.contains("0::/\n3:cpu:/\n"));
  EXPECT_TRUE(members.contains("0::/\n3:cpu:/default/c1\n"));
}

TEST(Membership, LooksAwayFromWhatTheContainerSharesWithTheShim) {
  const Membership members(std::string("4:misc:/system\n0::/default/c1\n"),
                           "4:misc:/system\n0::/\n");
  EXPECT_FALSE(members.contains("4:misc:/system\n0::/\n"));
  EXPECT_TRUE(members.contains("4:misc:/system\n0::/default/c1\n"));
}

TEST(Membership, IsEverybodyWhenNothingTellsTheContainerApart) {
  EXPECT_TRUE(Membership(std::string("0::/\n")).contains("0::/user\n"));
  EXPECT_TRUE(Membership().contains(""));
}

TEST(Process, PathsAreToldFromTheContainersRoot) {
  EXPECT_EQ(below_root("/models/m", ""), "/models/m");
  EXPECT_EQ(below_root("/tmp/chroot/models/m", "/tmp/chroot"), "/models/m");
  EXPECT_EQ(below_root("/tmp/chroot", "/tmp/chroot"), "/");
  EXPECT_EQ(below_root("/tmp/chroot2/m", "/tmp/chroot"), "/tmp/chroot2/m");
  EXPECT_EQ(below_root("pipe:[7]", "/tmp/chroot"), "pipe:[7]");
}

TEST(Process, DescribesThisOne) {
  const auto info = describe(::getpid());
  EXPECT_EQ(info.host_pid, ::getpid());
  EXPECT_EQ(info.parent_host_pid, ::getppid());
  EXPECT_EQ(info.uid, ::getuid());
  EXPECT_FALSE(info.exe.empty());
  EXPECT_FALSE(info.comm.empty());
}

TEST(Process, AnotherExecutionOfTheSameFileIsAnotherProgram) {
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char c = 0;
    (void)!::read(go[0], &c, 1);
    ::execl("/proc/self/exe", "moat_unit", "--gtest_list_tests", nullptr);
    ::_exit(1);
  }
  EXPECT_EQ(program_of(child), program_of(::getpid())) << "a fork is none";
  EXPECT_EQ(exe_file_of(child), exe_file_of(::getpid()));
  ::ptrace(PTRACE_SEIZE, child, nullptr, PTRACE_O_TRACEEXEC);
  ASSERT_EQ(::write(go[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSTOPPED(status)) << "it has executed itself again";
  EXPECT_EQ(exe_file_of(child), exe_file_of(::getpid()));
  EXPECT_NE(program_of(child), program_of(::getpid()));
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
}

// A child of ours in the pid namespace that `flags` make, with one of its own; says what the latter
// passes for with us as the shim.
bool grandchild_passes_for_runtime(int flags) {
  int said[2], stay[2];
  if (::pipe(said) != 0 || ::pipe(stay) != 0) return false;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
  if (child == 0) {
    ::close(stay[1]);
    char c = ::fork() == 0 ? 'g' : 'c';
    if (c == 'g') (void)!::write(said[1], &c, 1);
    (void)!::read(stay[0], &c, 1);
    ::_exit(0);
  }
  char c = 0;
  EXPECT_EQ(::read(said[0], &c, 1), 1);
  const std::string pid = std::to_string(child);
  const auto children = oci::read_file("/proc/" + pid + "/task/" + pid + "/children");
  EXPECT_TRUE(children);
  const bool passes =
      is_runtime_bootstrap(static_cast<pid_t>(std::atoi(children->c_str())), ::getpid(),
                           Membership(std::string("0::/default/elsewhere\n")));
  for (const int end : {said[0], said[1], stay[0], stay[1]}) ::close(end);
  ::waitpid(child, nullptr, 0);
  return passes;
}

TEST(Process, OrphansThatAPausedSandboxAdoptsAreNotTheRuntimes) {
  EXPECT_TRUE(grandchild_passes_for_runtime(0));
  if (::geteuid() != 0) GTEST_SKIP() << "a pid namespace needs root";
  EXPECT_FALSE(grandchild_passes_for_runtime(CLONE_NEWPID));
}

TEST(Process, OfNobodyIsEmptyNotACrash) {
  EXPECT_EQ(thread_group_of(0x3ffffff), 0);
  EXPECT_EQ(describe(0x3ffffff).host_pid, 0);
  EXPECT_EQ(program_of(0x3ffffff), "");
}

}  // namespace
}  // namespace moat::shim
