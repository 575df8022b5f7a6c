// Getting around the supervisor: calls that hide others, reach other processes or change the rules.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "attempts.h"

namespace moat::victim {

namespace {

int close_or_errno(long fd) {
  if (fd < 0) return errno;
  ::close(static_cast<int>(fd));
  return 0;
}

int io_uring(const Run&) {
  io_uring_params parameters{};
  return close_or_errno(::syscall(SYS_io_uring_setup, 1, &parameters));
}

int ptrace_call(const Run&) {
  return in_child([] { return errno_unless(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0); });
}

int vm_read(const Run&) {
  char from = 'x', to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  return errno_unless(::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1);
}

int userfault(const Run&) {
  return close_or_errno(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
}

int bpf_call(const Run&) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  return close_or_errno(::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

int mount_call(const Run& run) {
  return errno_unless(::mount("moat-victim", run.target().c_str(), "tmpfs", 0, nullptr) == 0);
}

int unshare_call(const Run&) {
  return in_child([] { return errno_unless(::unshare(CLONE_NEWNS) == 0); });
}

int clone_newuser(const Run&) {
  const long child = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) ::_exit(0);
  if (child < 0) return errno;
  ::waitpid(static_cast<pid_t>(child), nullptr, 0);
  return 0;
}

// Its flags are in memory, where a filter cannot see them.
int clone3_call(const Run&) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  const long child = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) ::_exit(0);
  if (child < 0) return errno;
  ::waitpid(static_cast<pid_t>(child), nullptr, 0);
  return 0;
}

int setns_call(const Run&) {
  return in_child([] {
    const int ns = ::open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    return errno_unless(ns >= 0 && ::setns(ns, CLONE_NEWUTS) == 0);
  });
}

int chroot_call(const Run&) {
  return in_child([] { return errno_unless(::chroot("/tmp") == 0); });
}

int keyctl_call(const Run&) {
  return errno_unless(::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) >
                      0);
}

int pidfd_getfd_call(const Run&) {
  const auto self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  if (self < 0) return errno;
  const int err = close_or_errno(::syscall(SYS_pidfd_getfd, self, STDOUT_FILENO, 0));
  ::close(self);
  return err;
}

int queue(const Run& run) {
  const std::string name = "/" + run.id();
  const mqd_t made = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600, nullptr);
  if (made < 0) return errno;
  ::mq_close(made);
  return errno_unless(::mq_unlink(name.c_str()) == 0);
}

// To its own parent, which does not mind this one.
int signal_other(const Run&) {
  return in_child([] { return errno_unless(::kill(::getppid(), SIGCONT) == 0); });
}

// Threads are named by their process first.
int signal_thread(const Run&) {
  return in_child(
      [] { return errno_unless(::syscall(SYS_tgkill, ::getppid(), ::getppid(), SIGCONT) == 0); });
}

int signal_all(const Run&) {
  return errno_unless(::kill(-1, SIGCONT) == 0);
}

int limit_other(const Run&) {
  return in_child([] {
    rlimit limit{};
    return errno_unless(::prlimit(::getppid(), RLIMIT_CORE, nullptr, &limit) == 0);
  });
}

int odd_personality(const Run&) {
  return in_child([] { return errno_unless(::personality(READ_IMPLIES_EXEC) >= 0); });
}

int exe_link(const Run&) {
  return errno_unless(::prctl(PR_SET_MM, PR_SET_MM_START_BRK, ::sbrk(0), 0, 0) == 0);
}

int let_trace(const Run&) {
  return errno_unless(::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0) == 0);
}

// The kernel's log, in a folder that can be written to. Making it is not opening it.
int make_node(const Run& run) {
  const std::string node = run.scratch() + ".node";
  const int err = errno_unless(::mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 11)) == 0);
  ::unlink(node.c_str());
  return err;
}

// open_tree_attr (Linux 6.15), which the libseccomp of today has no name for.
int new_call(const Run&) {
  constexpr long kOpenTreeAttr = 467;
  return close_or_errno(::syscall(kOpenTreeAttr, AT_FDCWD, "/", O_CLOEXEC, nullptr, 0));
}

int host_name(const Run& run) {
  return errno_unless(::sethostname(run.tag.data(), run.tag.size()) == 0);
}

#ifdef __x86_64__
// getpid, by the numbers of another ABI.
int int80(const Run&) {
  return in_child([] {
    long result = 20;
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? 0 : static_cast<int>(-result);
  });
}

int x32(const Run&) {
  return in_child([] { return errno_unless(::syscall(0x40000000 + SYS_getpid) > 0); });
}
#else
int int80(const Run&) {
  return ENOSYS;
}
int x32(const Run&) {
  return ENOSYS;
}
#endif

constexpr std::array kAttempts{
    Attempt{"io_uring", "filter", "-", Planted::Nothing, io_uring},
    Attempt{"ptrace_call", "filter", "-", Planted::Nothing, ptrace_call},
    Attempt{"vm_read", "filter", "-", Planted::Nothing, vm_read},
    Attempt{"userfault", "filter", "-", Planted::Nothing, userfault},
    Attempt{"bpf_call", "filter", "-", Planted::Nothing, bpf_call},
    Attempt{"mount_call", "filter", "-", Planted::Folder, mount_call},
    Attempt{"unshare_call", "filter", "-", Planted::Nothing, unshare_call},
    Attempt{"clone_newuser", "filter", "-", Planted::Nothing, clone_newuser},
    Attempt{"clone3_call", "silent", "-", Planted::Nothing, clone3_call},
    Attempt{"setns_call", "filter", "-", Planted::Nothing, setns_call},
    Attempt{"chroot_call", "filter", "-", Planted::Nothing, chroot_call},
    Attempt{"keyctl_call", "filter", "-", Planted::Nothing, keyctl_call},
    Attempt{"pidfd_getfd", "filter", "-", Planted::Nothing, pidfd_getfd_call},
    Attempt{"queue", "filesystem.modify", "-", Planted::Nothing, queue},
    Attempt{"signal_other", "process.cross", "-", Planted::Nothing, signal_other},
    Attempt{"signal_thread", "process.cross", "-", Planted::Nothing, signal_thread},
    Attempt{"signal_all", "process.cross", "-", Planted::Nothing, signal_all},
    Attempt{"limit_other", "process.cross", "-", Planted::Nothing, limit_other},
    Attempt{"odd_persona", "filter", "-", Planted::Nothing, odd_personality},
    Attempt{"exe_link", "filter", "-", Planted::Nothing, exe_link},
    Attempt{"let_trace", "filter", "-", Planted::Nothing, let_trace},
    Attempt{"make_node", "device.access", "-", Planted::Nothing, make_node},
    Attempt{"new_call", "silent", "-", Planted::Nothing, new_call},
    Attempt{"host_name", "system.control", "-", Planted::Nothing, host_name},
    Attempt{"int80", "abi", "-", Planted::Nothing, int80},
    Attempt{"x32", "abi", "-", Planted::Nothing, x32},
};

}  // namespace

std::span<const Attempt> system_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
