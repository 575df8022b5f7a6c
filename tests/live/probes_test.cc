#include "shim/supervise/probes.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace moat::shim {
namespace {

const Probe& probe_of(std::string_view name) {
  for (const Probe& probe : probes())
    if (probe.name == name) return probe;
  ADD_FAILURE() << "no probe " << name;
  return probes().front();
}

TEST(Probes, EveryMechanismWorksWhereTheseTestsRun) {
  for (const Probe& probe : probes()) {
    const auto status = probe.attempt();
    EXPECT_TRUE(status) << probe.name << ": " << status.error().what;
  }
}

// What a sandbox around the node may do: one call of the kernel's is not there.
int without(long number, const Probe& probe) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog filter{4, program};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(9);
    ::_exit(probe.attempt() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

TEST(Probes, EachNoticesTheLossOfItsOwn) {
  EXPECT_EQ(without(SYS_seccomp, probe_of("seccomp listener")), 0);
  EXPECT_EQ(without(SYS_fanotify_mark, probe_of("fanotify permission events")), 0);
  EXPECT_EQ(without(SYS_mount_setattr, probe_of("read-only mounts")), 0);
  EXPECT_EQ(without(SYS_process_vm_readv, probe_of("looking into a process")), 0);
  EXPECT_EQ(without(SYS_pidfd_getfd, probe_of("looking into a process")), 0);
  EXPECT_EQ(without(SYS_bpf, probe_of("cgroup BPF")), 0);
  EXPECT_EQ(without(SYS_bpf, probe_of("cgroup BPF on Unix sockets")), 0);
  EXPECT_EQ(without(SYS_bpf, probe_of("cgroup BPF on devices")), 0);
  EXPECT_EQ(without(SYS_bpf, probe_of("names of Unix sockets")), 0);
  EXPECT_EQ(without(SYS_sendto, probe_of("ending connections")), 0);
  EXPECT_EQ(without(SYS_bpf, probe_of("seccomp listener")), 1) << "none of another's";
}

}  // namespace
}  // namespace moat::shim
