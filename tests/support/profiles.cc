#include "tests/support/profiles.h"

#include <sstream>

namespace moat::test {
namespace {

using nlohmann::json;
using policies::Arch;

// The calls containerd's default profile allows without conditions.
constexpr const char* kAllowed = R"(
accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2
dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat
fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64
fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32
geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp
getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit
get_robust_list getrusage getsid getsockname getsockopt get_thread_area gettid gettimeofday getuid
getuid32 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl
io_destroy io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup
io_submit ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
lchown32 lgetxattr link linkat listen listxattr llistxattr _llseek lremovexattr lseek lsetxattr
lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat
mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open
mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl
msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat
_newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read
readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg
remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction
rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile
sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32
setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt
set_thread_area set_tid_address setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown
sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64
statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat
utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev)";

constexpr const char* kAdmin = R"(bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick
lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd
setdomainname sethostname setns syslog umount umount2 unshare)";

json words(const char* text) {
  std::istringstream in(text);
  json out = json::array();
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

json group(json names, const char* action) {
  return {{"names", std::move(names)}, {"action", action}};
}

json when(json names, const char* action, std::vector<json> args) {
  json out = group(std::move(names), action);
  out["args"] = std::move(args);
  return out;
}

json compare(unsigned index, const char* op, std::uint64_t value) {
  return {{"index", index}, {"op", op}, {"value", value}};
}

json masked(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return {{"index", index}, {"op", "SCMP_CMP_MASKED_EQ"}, {"value", mask}, {"valueTwo", value}};
}

constexpr std::uint64_t kNamespaces = 0x7e020000;

json architectures(Arch arch) {
  if (arch == Arch::X86_64) return {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  return {"SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64"};
}

// Says no to some calls, some of them by argument.
json deny_list() {
  json clone3 = group({"clone3"}, "SCMP_ACT_ERRNO");
  clone3["errnoRet"] = 38;
  json clone = when({"clone"}, "SCMP_ACT_ERRNO", {masked(0, 0x2020000, 0x20000)});
  return {{"defaultAction", "SCMP_ACT_ALLOW"},
          {"syscalls",
           {group({"ptrace", "bpf", "execveat", "mount"}, "SCMP_ACT_ERRNO"),
            group({"reboot", "kexec_load"}, "SCMP_ACT_KILL_PROCESS"), clone3, clone,
            when({"socket"}, "SCMP_ACT_ERRNO", {compare(0, "SCMP_CMP_EQ", 38)}),
            when({"socket"}, "SCMP_ACT_ERRNO", {compare(1, "SCMP_CMP_GT", 0x1000000)}),
            when({"kill"}, "SCMP_ACT_ERRNO",
                 {compare(0, "SCMP_CMP_EQ", 1), compare(1, "SCMP_CMP_EQ", 9)}),
            group({"sync"}, "SCMP_ACT_ALLOW")}}};
}

// Allows little, by argument where it can; what is left kills.
json narrow_list() {
  json no_clone3 = group({"clone3"}, "SCMP_ACT_ERRNO");
  no_clone3["errnoRet"] = 38;
  return {{"defaultAction", "SCMP_ACT_KILL"},
          {"syscalls",
           {group(words("read write open exit_group execve listen openat2 io_uring_setup unlink"),
                  "SCMP_ACT_ALLOW"),
            when({"clone"}, "SCMP_ACT_ALLOW", {masked(0, kNamespaces, 0)}), no_clone3,
            when({"socket"}, "SCMP_ACT_ALLOW", {compare(0, "SCMP_CMP_EQ", 1)}),
            when({"socket"}, "SCMP_ACT_ALLOW",
                 {compare(0, "SCMP_CMP_EQ", 2), compare(2, "SCMP_CMP_EQ", 0)}),
            // One argument twice: runc reads two alternatives.
            when({"kill"}, "SCMP_ACT_ALLOW",
                 {compare(1, "SCMP_CMP_EQ", 0), compare(1, "SCMP_CMP_EQ", 15)}),
            when({"openat"}, "SCMP_ACT_ALLOW", {compare(0, "SCMP_CMP_GT", 2)}),
            when({"sendto"}, "SCMP_ACT_ALLOW", {compare(4, "SCMP_CMP_EQ", 0)}),
            when({"memfd_create"}, "SCMP_ACT_ALLOW", {masked(1, 0xff, 1)})}}};
}

}  // namespace

json runtime_default(Arch arch, bool admin) {
  json groups = json::array({group(words(kAllowed), "SCMP_ACT_ALLOW")});
  groups.push_back(when({"socket"}, "SCMP_ACT_ALLOW", {compare(0, "SCMP_CMP_NE", 40)}));
  for (const std::uint64_t persona : {0x0ULL, 0x8ULL, 0x20000ULL, 0x20008ULL, 0xffffffffULL})
    groups.push_back(when({"personality"}, "SCMP_ACT_ALLOW", {compare(0, "SCMP_CMP_EQ", persona)}));
  if (arch == Arch::X86_64) groups.push_back(group({"arch_prctl", "modify_ldt"}, "SCMP_ACT_ALLOW"));
  groups.push_back(group({"chroot"}, "SCMP_ACT_ALLOW"));
  if (admin) {
    groups.push_back(group(words(kAdmin), "SCMP_ACT_ALLOW"));
  } else {
    groups.push_back(when({"clone"}, "SCMP_ACT_ALLOW", {masked(0, kNamespaces, 0)}));
    groups.push_back(group({"clone3"}, "SCMP_ACT_ERRNO"));
    groups.back()["errnoRet"] = 38;
  }
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"architectures", architectures(arch)},
          {"syscalls", groups}};
}

std::vector<IncomingProfile> incoming_profiles(Arch arch) {
  json logging = runtime_default(arch, false);
  logging["defaultAction"] = "SCMP_ACT_LOG";
  return {{"none", nullptr},
          {"RuntimeDefault", runtime_default(arch, false)},
          {"RuntimeDefault with CAP_SYS_ADMIN", runtime_default(arch, true)},
          {"deny list", deny_list()},
          {"narrow allow list", narrow_list()},
          {"complain", logging}};
}

}  // namespace moat::test
