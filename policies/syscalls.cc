// The table itself: numbers from the kernel's asm/unistd headers (up to Linux 6.18). What is not
// here is nobody's way to the host: what a process does to itself (landlock_*, mseal,
// map_shadow_stack, futex_*, set_mempolicy_home_node; set*id, which need the capability and cannot
// gain), what only tells (statmount, listmount, cachestat, lsm_get_self_attr, file_getattr),
// seccomp (filters only add up, and a second listener is EBUSY), and what is decided elsewhere
// (ioctl, by devices and mounts). Calls newer than the table: see known_calls.h.
#include "policies/syscalls.h"

#include <algorithm>
#include <cerrno>

namespace moat::policies {
namespace {

using enum Action;
using enum Arg;

constexpr int kNone = -1;  // the architecture does not have the call

struct Numbers {
  std::int32_t x86_64, arm64;
};

// Since Linux 5.1 new calls get one number on every architecture.
constexpr Numbers both(std::int32_t number) {
  return {number, number};
}

using Args = std::array<Arg, 6>;

// EPERM is what a caller without the capability gets and expects. ENOSYS where callers then take
// the older call by themselves (clone3, openat2, io_uring in libuv), or where kernels are commonly
// built without it.
constexpr SyscallRow never(std::string_view name, Numbers n, int err, Action action, Args args = {},
                           const RegisterSet* barred = &kAllRegisters) {
  return {name, n.x86_64, n.arm64, args, action, Tier::Never, err, barred, &kNoRegisters};
}

constexpr SyscallRow gate(std::string_view name, Numbers n, Action action, Args args,
                          const RegisterSet* interest = &kAllRegisters) {
  return {name, n.x86_64, n.arm64, args, action, Tier::Gate, 0, &kNoRegisters, interest};
}

constexpr SyscallRow path(std::string_view name, Numbers n, Args args,
                          const RegisterSet* interest = &kAllRegisters) {
  return {name, n.x86_64, n.arm64, args, FilesystemModify, Tier::Path, 0, &kNoRegisters, interest};
}

// Beside what a phase may say of the call: registers that no phase can have.
constexpr SyscallRow barred(int err, const RegisterSet* registers, SyscallRow row) {
  row.never_errno = err;
  row.barred = registers;
  return row;
}

constexpr ArgTest masked(std::uint8_t index, std::uint64_t mask, std::uint64_t value) {
  return {index, ArgTest::Op::MaskedEq, mask, value};
}

// An `int` or `unsigned int`: what stands above bit 31 is the caller's to fill.
constexpr ArgTest is(std::uint8_t index, std::uint32_t value) {
  return masked(index, 0xffffffff, value);
}

template <class... Regions>
constexpr RegisterSet in(Regions... regions) {
  return {RegisterSet::Kind::In, {Region(regions)...}};
}
template <class... Regions>
constexpr RegisterSet not_in(Regions... regions) {
  return {RegisterSet::Kind::NotIn, {Region(regions)...}};
}

// The sets of the rows; each is one object, however many rows share it.
template <std::uint8_t kIndex, std::uint64_t kFlag>
constexpr RegisterSet kFlagSet = in(masked(kIndex, kFlag, kFlag));

template <std::uint8_t kIndex>
constexpr RegisterSet kNotNull = not_in(masked(kIndex, ~0ULL, 0));

// O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: the same on both architectures. O_TMPFILE needs one of the
// first two.
template <std::uint8_t kIndex>
constexpr RegisterSet kWriteOpen = in(masked(kIndex, 0x1, 0x1), masked(kIndex, 0x2, 0x2),
                                      masked(kIndex, 0x40, 0x40), masked(kIndex, 0x200, 0x200));

// Everything but a thread: CLONE_THREAD missing.
constexpr RegisterSet kNoThread = in(masked(0, 0x10000, 0));

// CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: a namespace of its own would leave marks and mounts
// behind. (CLONE_NEWTIME is a signal's number here.)
constexpr RegisterSet kNamespaces = in(
    masked(0, 0x20000, 0x20000), masked(0, 0x2000000, 0x2000000), masked(0, 0x4000000, 0x4000000),
    masked(0, 0x8000000, 0x8000000), masked(0, 0x10000000, 0x10000000),
    masked(0, 0x20000000, 0x20000000), masked(0, 0x40000000, 0x40000000));

// Unix sockets, those of IPv4 and IPv6 by stream or datagram, and lists of interfaces and routes,
// which getaddrinfo asks for. All others reach around what decides on addresses (raw, packet, which
// is also type 10 of IPv4, vsock, xdp), or the kernel's less trodden corners (alg, tipc, rds, …).
// Bits 0 to 3 are the type, the rest of it flags.
constexpr RegisterSet kOddSocket =
    not_in(is(0, 1), Region(is(0, 2), masked(1, 0xf, 1)), Region(is(0, 2), masked(1, 0xf, 2)),
           Region(is(0, 10), masked(1, 0xf, 1)), Region(is(0, 10), masked(1, 0xf, 2)),
           Region(is(0, 16), is(2, 0)));

// What can send to a name: SOCK_DGRAM, and SOCK_RAW, which a Unix socket takes for it.
constexpr RegisterSet kDatagramPair = in(masked(1, 0xf, 2), masked(1, 0xf, 3));

// Memory that may be run and is no program's file: PROT_EXEC with MAP_ANONYMOUS, or with PROT_WRITE
// (a private copy of a file, to be filled with anything). The dynamic loader asks for neither.
constexpr RegisterSet kFreshCode =
    in(Region(masked(2, 0x4, 0x4), masked(3, 0x20, 0x20)), masked(2, 0x6, 0x6));

// PR_SET_MM changes what /proc says of the program; PR_SCHED_CORE and PR_SET_PTRACER act on, or let
// in, other processes. The rest is a process's own business (names, death signals, dumpability,
// timers, speculation), only takes rights away (NO_NEW_PRIVS, SECCOMP, CAPBSET_DROP, MDWE), or is
// bounded by capabilities (SECUREBITS, CAP_AMBIENT). PR_SET_SYSCALL_USER_DISPATCH stands before the
// filter, not beside it: what it lets go meets the filter.
constexpr RegisterSet kPrctlOnOthers = in(is(0, 35), is(0, 62), is(0, 0x59616d61));

// What containerd's default profile lets through, and no more: READ_IMPLIES_EXEC is in none. The
// second only asks.
constexpr RegisterSet kOddPersonality = not_in(masked(0, 0xfffdfff7, 0), is(0, 0xffffffff));

// Signal 0 only asks whether somebody is there.
constexpr RegisterSet kSignal = not_in(is(1, 0));

// 0 is the caller.
constexpr RegisterSet kOtherProcess = not_in(is(0, 0));

// SIGURG is ignored by whoever does not expect it, and Go's scheduler sends a hundred a second.
constexpr RegisterSet kThreadSignal = not_in(is(2, 0), is(2, 23));

constexpr std::uint64_t kMsgFastOpen = 0x20000000;  // connects while it sends

constexpr std::array kSyscalls{
    never("_sysctl", {156, kNone}, ENOSYS, SystemControl),
    never("acct", {163, 89}, EPERM, SystemControl, {Path}),
    never("add_key", {248, 217}, EPERM, SystemControl),
    gate("adjtimex", {159, 171}, SystemControl, {Pointer}),
    never("bpf", {321, 280}, EPERM, SystemControl, {Number, Pointer, Length}),
    path("chmod", {90, kNone}, {Path, Number}),
    path("chown", {92, kNone}, {Path, Number, Number}),
    // Claimed paths would mean something else afterwards.
    never("chroot", {161, 51}, EPERM, ProcessContext, {Path}),
    gate("clock_adjtime", {305, 266}, SystemControl, {Number, Pointer}),
    never("clock_settime", {227, 112}, EPERM, SystemControl, {Number, Pointer}),
    barred(EPERM, &kNamespaces,
           gate("clone", {56, 220}, ProcessCreate, {CloneFlags, Pointer, Pointer}, &kNoThread)),
    never("clone3", both(435), ENOSYS, ProcessCreate, {Pointer, Length}),
    gate("connect", {42, 203}, NetworkAccess, {Fd, SockAddr, Length}),
    path("creat", {85, kNone}, {Path, Number}),
    never("create_module", {174, kNone}, ENOSYS, SystemControl),
    never("delete_module", {176, 106}, EPERM, SystemControl, {Text, Flags}),
    gate("execve", {59, 221}, ProcessExec, {Path, Argv, Pointer}),
    gate("execveat", {322, 281}, ProcessExec, {DirFd, Path, Argv, Pointer, Flags}),
    never("fanotify_init", {300, 262}, EPERM, SystemControl, {Flags, Flags}),
    never("fanotify_mark", {301, 263}, EPERM, SystemControl, {Fd, Flags, Number, DirFd, Path}),
    path("fchmodat", {268, 53}, {DirFd, Path, Number}),
    path("fchmodat2", both(452), {DirFd, Path, Number, Flags}),  // 6.6
    path("fchownat", {260, 54}, {DirFd, Path, Number, Number, Flags}),
    path("file_setattr", both(469), {DirFd, Path, Pointer, Length, Flags}),  // 6.17
    never("finit_module", {313, 273}, EPERM, SystemControl, {Fd, Text, Flags}),
    gate("fork", {57, kNone}, ProcessCreate, {}),
    never("fsconfig", both(431), EPERM, SystemControl, {Fd, Number, Text, Pointer, Number}),
    never("fsmount", both(432), EPERM, SystemControl, {Fd, Flags, Flags}),
    never("fsopen", both(430), EPERM, SystemControl, {Text, Flags}),
    never("fspick", both(433), EPERM, SystemControl, {DirFd, Path, Flags}),
    path("futimesat", {261, kNone}, {DirFd, Path, Pointer}, &kNotNull<1>),
    never("get_kernel_syms", {177, kNone}, ENOSYS, SystemInfo),
    never("init_module", {175, 105}, EPERM, SystemControl, {Pointer, Length, Text}),
    never("io_uring_enter", both(426), ENOSYS, SystemControl, {Fd}),
    never("io_uring_register", both(427), ENOSYS, SystemControl, {Fd}),
    never("io_uring_setup", both(425), ENOSYS, SystemControl, {Number, Pointer}),
    never("ioperm", {173, kNone}, EPERM, SystemControl, {Number, Number, Number}),
    never("iopl", {172, kNone}, EPERM, SystemControl, {Number}),
    never("kcmp", {312, 272}, EPERM, ProcessCross, {Pid, Pid, Number, Number, Number}),
    never("kexec_file_load", {320, 294}, EPERM, SystemControl),
    never("kexec_load", {246, 104}, EPERM, SystemControl),
    never("keyctl", {250, 219}, EPERM, SystemControl, {Number}),
    gate("kill", {62, 129}, ProcessCross, {Pid, Signal}, &kSignal),
    path("lchown", {94, kNone}, {Name, Number, Number}),
    path("link", {86, kNone}, {Name, Name}),
    path("linkat", {265, 37}, {DirFd, Name, DirFd, Name, Flags}),
    SyscallRow{"listen", 50, 201, {Fd, Number}, NetworkAccess, Tier::Trigger},
    never("lookup_dcookie", {212, 18}, EPERM, SystemInfo),
    path("lremovexattr", {198, 15}, {Name, Text}),
    path("lsetxattr", {189, 6}, {Name, Text, Pointer, Length, Flags}),
    // The profile of AppArmor or SELinux; libraries that know it write to /proc where it is
    // missing.
    never("lsm_set_self_attr", both(460), ENOSYS, ProcessContext),  // 6.8
    // A file no mount's noexec and no open event covers: see decide.cc.
    gate("memfd_create", {319, 279}, FilesystemExec, {Text, Flags}),
    never("memfd_secret", both(447), ENOSYS, SystemControl, {Flags}),
    never("migrate_pages", {256, 238}, EPERM, ProcessCross, {Pid}),
    path("mkdir", {83, kNone}, {Name, Number}),
    path("mkdirat", {258, 34}, {DirFd, Name, Number}),
    path("mknod", {133, kNone}, {Name, Number, Number}),
    path("mknodat", {259, 33}, {DirFd, Name, Number, Number}),
    gate("mmap", {9, 222}, FilesystemExec, {Pointer, Length, Protection, Flags, Fd, Number},
         &kFreshCode),
    never("modify_ldt", {154, kNone}, ENOSYS, SystemControl),
    never("mount", {165, 40}, EPERM, SystemControl, {Text, Path, Text, Flags, Pointer}),
    never("mount_setattr", both(442), EPERM, SystemControl, {DirFd, Path, Flags, Pointer, Length}),
    never("move_mount", both(429), EPERM, SystemControl, {DirFd, Path, DirFd, Path, Flags}),
    never("move_pages", {279, 239}, EPERM, ProcessCross, {Pid}),
    gate("mprotect", {10, 226}, FilesystemExec, {Pointer, Length, Protection}, &kFlagSet<2, 0x4>),
    // A gate, not a path: message queues live on a mount of the kernel's own, which no flip
    // reaches; the name is memory and so cannot be what allows.
    gate("mq_open", {240, 180}, FilesystemModify, {Text, OpenFlags, Number, Pointer},
         &kWriteOpen<1>),
    gate("mq_unlink", {241, 181}, FilesystemModify, {Text}),
    never("name_to_handle_at", {303, 264}, EPERM, FilesystemRead, {DirFd, Path}),
    never("nfsservctl", {180, 42}, ENOSYS, SystemControl),
    path("open", {2, kNone}, {Path, OpenFlags, Number}, &kWriteOpen<1>),
    never("open_by_handle_at", {304, 265}, EPERM, FilesystemRead, {Fd, Pointer, OpenFlags}),
    never("open_tree", both(428), EPERM, SystemControl, {DirFd, Path, Flags}),
    never("open_tree_attr", both(467), EPERM, SystemControl, {DirFd, Path, Flags}),  // 6.15
    path("openat", {257, 56}, {DirFd, Path, OpenFlags, Number}, &kWriteOpen<2>),
    never("openat2", both(437), ENOSYS, FilesystemModify, {DirFd, Path, OpenHow, Length}),
    never("perf_event_open", {298, 241}, EPERM, SystemInfo, {Pointer, Pid}),
    never("personality", {135, 92}, EPERM, ProcessContext, {Number}, &kOddPersonality),
    never("pidfd_getfd", both(438), EPERM, ProcessCross, {Fd, Number, Flags}),
    gate("pidfd_send_signal", both(424), ProcessCross, {Fd, Signal, Pointer, Flags}),
    never("pivot_root", {155, 41}, EPERM, SystemControl, {Path, Path}),
    gate("pkey_mprotect", {329, 288}, FilesystemExec, {Pointer, Length, Protection, Number},
         &kFlagSet<2, 0x4>),
    never("prctl", {157, 167}, EPERM, ProcessCross, {Number}, &kPrctlOnOthers),
    // Limits of another process can end it (RLIMIT_CPU); 0 is the caller.
    gate("prlimit64", {302, 261}, ProcessCross, {Pid, Number, Pointer, Pointer}, &kOtherProcess),
    never("process_madvise", both(440), EPERM, ProcessCross, {Fd}),
    never("process_mrelease", both(448), EPERM, ProcessCross, {Fd, Flags}),
    never("process_vm_readv", {310, 270}, EPERM, ProcessCross, {Pid}),
    never("process_vm_writev", {311, 271}, EPERM, ProcessCross, {Pid}),
    never("ptrace", {101, 117}, EPERM, ProcessCross, {Number, Pid, Pointer, Pointer}),
    never("query_module", {178, kNone}, ENOSYS, SystemInfo),
    never("quotactl", {179, 60}, EPERM, SystemControl, {Number, Path}),
    never("quotactl_fd", both(443), EPERM, SystemControl, {Fd, Number}),
    never("reboot", {169, 142}, EPERM, SystemControl),
    path("removexattr", {197, 14}, {Path, Text}),
    path("removexattrat", both(466), {DirFd, Path, Flags, Text}),  // 6.13
    path("rename", {82, kNone}, {Name, Name}),
    path("renameat", {264, 38}, {DirFd, Name, DirFd, Name}),
    path("renameat2", {316, 276}, {DirFd, Name, DirFd, Name, Flags}),
    never("request_key", {249, 218}, EPERM, SystemControl),
    path("rmdir", {84, kNone}, {Name}),
    gate("rt_sigqueueinfo", {129, 138}, ProcessCross, {Pid, Signal, Pointer}),
    gate("rt_tgsigqueueinfo", {297, 240}, ProcessCross, {Pid, Pid, Signal, Pointer}),
    gate("sendmmsg", {307, 269}, NetworkAccess, {Fd, Pointer, Number, Flags},
         &kFlagSet<3, kMsgFastOpen>),
    gate("sendmsg", {46, 211}, NetworkAccess, {Fd, Pointer, Flags}, &kFlagSet<2, kMsgFastOpen>),
    // send() is sendto() without an address, also with MSG_FASTOPEN (the kernel refuses that).
    gate("sendto", {44, 206}, NetworkAccess, {Fd, Pointer, Length, Flags, SockAddr, Length},
         &kNotNull<4>),
    gate("setdomainname", {171, 162}, SystemControl, {Text, Length}),
    gate("sethostname", {170, 161}, SystemControl, {Text, Length}),
    never("setns", {308, 268}, EPERM, ProcessContext, {Fd, Flags}),
    never("settimeofday", {164, 170}, EPERM, SystemControl, {Pointer, Pointer}),
    path("setxattr", {188, 5}, {Path, Text, Pointer, Length, Flags}),
    path("setxattrat", both(463), {DirFd, Path, Flags, Text, Pointer, Length}),  // 6.13
    // SHM_EXEC maps what it attaches to be run.
    gate("shmat", {30, 196}, FilesystemExec, {Number, Pointer, Protection}, &kFlagSet<2, 0x8000>),
    barred(EAFNOSUPPORT, &kOddSocket,
           gate("socket", {41, 198}, NetworkAccess, {Domain, SockType, Protocol})),
    gate("socketpair", {53, 199}, NetworkAccess, {Domain, SockType, Protocol, Pointer},
         &kDatagramPair),
    never("swapoff", {168, 225}, EPERM, SystemControl, {Path}),
    never("swapon", {167, 224}, EPERM, SystemControl, {Path, Flags}),
    path("symlink", {88, kNone}, {Text, Name}),
    path("symlinkat", {266, 36}, {Text, DirFd, Name}),
    never("syslog", {103, 116}, EPERM, SystemInfo, {Number}),
    gate("tgkill", {234, 131}, ProcessCross, {Pid, Pid, Signal}, &kThreadSignal),
    gate("tkill", {200, 130}, ProcessCross, {Pid, Signal}, &kSignal),
    path("truncate", {76, 45}, {Path, Length}),
    never("umount2", {166, 39}, EPERM, SystemControl, {Path, Flags}),
    path("unlink", {87, kNone}, {Name}),
    path("unlinkat", {263, 35}, {DirFd, Name, Flags}),
    never("unshare", {272, 97}, EPERM, ProcessContext, {CloneFlags}),
    never("uselib", {134, kNone}, ENOSYS, FilesystemExec, {Path}),
    never("userfaultfd", {323, 282}, EPERM, SystemControl, {Flags}),
    never("ustat", {136, kNone}, ENOSYS, SystemInfo),
    path("utime", {132, kNone}, {Path, Pointer}),
    // With a null path it is futimens(): heartbeats on a descriptor, many per second.
    path("utimensat", {280, 88}, {DirFd, Path, Pointer, Flags}, &kNotNull<1>),
    path("utimes", {235, kNone}, {Path, Pointer}),
    gate("vfork", {58, kNone}, ProcessCreate, {}),
    never("vhangup", {153, 58}, EPERM, SystemControl),
};

constexpr const SyscallRow* find(std::string_view name) {
  const auto at = std::ranges::lower_bound(kSyscalls, name, {}, &SyscallRow::name);
  return at != kSyscalls.end() && at->name == name ? &*at : nullptr;
}

constexpr bool numbers_are_unique(Arch arch) {
  for (std::size_t i = 0; i < kSyscalls.size(); ++i)
    for (std::size_t j = i + 1; j < kSyscalls.size(); ++j)
      if (kSyscalls[i].number(arch) != kNone &&
          kSyscalls[i].number(arch) == kSyscalls[j].number(arch))
        return false;
  return true;
}

constexpr bool is_sound(const SyscallRow& row) {
  using Kind = RegisterSet::Kind;
  const bool bars = row.barred->kind != Kind::Nothing;
  return bars == (row.never_errno != 0) && (bars || row.tier != Tier::Never) &&
         (row.tier == Tier::Never) == (row.interest->kind == Kind::Nothing) && row.x86_64 != kNone;
}

static_assert(std::ranges::is_sorted(kSyscalls, {}, &SyscallRow::name));
static_assert(numbers_are_unique(Arch::X86_64) && numbers_are_unique(Arch::Arm64));
static_assert(std::ranges::all_of(kSyscalls, is_sound));
// runc hands the listener over with write(2): were it notified, it would wait for itself.
static_assert(find("write") == nullptr);
static_assert(find("openat")->args[2] == OpenFlags && find("openat")->arm64 == 56);

}  // namespace

std::span<const SyscallRow> syscalls() {
  return kSyscalls;
}

const SyscallRow* find_syscall(std::string_view name) {
  return find(name);
}

const SyscallRow* find_syscall(Arch arch, std::int32_t number) {
  // Asked once per notification, which costs a thousand times as much as this scan.
  for (const SyscallRow& row : kSyscalls)
    if (number != kNone && row.number(arch) == number) return &row;
  return nullptr;
}

}  // namespace moat::policies
