#include "shim/supervise/confinement.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>

namespace moat::shim {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kNative = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kNative = AUDIT_ARCH_AARCH64;
#endif

// Low half of an argument: both architectures are little-endian.
constexpr std::uint32_t offset_of(unsigned argument) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8UL * argument);
}

// What is not listed does not exist: libraries then do without it, as on an old kernel, and an
// intruder has no more to work with. The kernel logs each (SECCOMP_FILTER_FLAG_LOG).
std::vector<sock_filter> program_of(std::span<const Permitted> calls) {
  constexpr sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  constexpr sock_filter kRefuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  std::vector<sock_filter> code = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kNative, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const Permitted& one : calls) {
    const auto call = static_cast<std::uint32_t>(one.call);
    if (one.mask == 0) {
      code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
      code.push_back(kAllow);
      continue;
    }
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 5));
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset_of(one.argument)));
    code.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, one.mask));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one.value, 0, 1));
    code.push_back(kAllow);
    code.push_back(kRefuse);
  }
  code.push_back(kRefuse);
  return code;
}

Status refuse_other_calls(std::span<const Permitted> calls) {
  std::vector<sock_filter> code = program_of(calls);
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program) == 0)
    return {};
  return fail_errno(errno, "its own seccomp filter");
}

// In a user namespace that does not know this user, what privileges are left are that namespace's.
Status change_user() {
  if (::setgroups(0, nullptr) != 0) return fail_errno(errno, "setgroups");
  const bool changed = ::setresgid(kGuardUser, kGuardUser, kGuardUser) == 0 &&
                       ::setresuid(kGuardUser, kGuardUser, kGuardUser) == 0;
  if (changed || errno == EINVAL) return {};
  return fail_errno(errno, "its own user");
}

Status keep_capabilities(std::uint64_t kept) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (unsigned i = 0; i < 2; ++i)
    data[i].effective = data[i].permitted = static_cast<std::uint32_t>(kept >> (32 * i));
  if (::syscall(SYS_capset, &header, data) == 0) return {};
  return fail_errno(errno, "its own capabilities");
}

}  // namespace

Status confine(const Confinement& confinement) {
  ::prctl(PR_SET_NAME, confinement.name);
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
    ++capability;
  ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (auto changed = change_user(); !changed) return changed;
  if (auto kept = keep_capabilities(confinement.capabilities); !kept) return kept;
  ::prctl(PR_SET_DUMPABLE, 0);  // after the change of user, which sets it
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return refuse_other_calls(confinement.calls);
}

}  // namespace moat::shim
