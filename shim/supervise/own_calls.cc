#include "shim/supervise/own_calls.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace moat::shim {

std::vector<Permitted> keeper_calls(int shim_socket) {
  const auto self = static_cast<std::uint32_t>(::getpid());
  constexpr std::uint32_t kAll = ~std::uint32_t{0};
  constexpr std::uint32_t kIoctlType = 0xff00;  // '!': those of seccomp's listeners
  std::vector<Permitted> calls = {
      {SYS_tgkill, 0, kAll, self},  // abort()
      {SYS_sendmsg, 0, kAll, static_cast<std::uint32_t>(shim_socket)},
      {SYS_ioctl, 1, kIoctlType, '!' << 8},
      {SYS_mmap, 2, PROT_EXEC, 0},
      {SYS_mprotect, 2, PROT_EXEC, 0},
  };
  for (const int call : {
         SYS_read, SYS_write, SYS_close, SYS_lseek, SYS_recvmsg, SYS_recvfrom, SYS_fcntl, SYS_ppoll,
             SYS_epoll_pwait, SYS_epoll_ctl, SYS_epoll_create1, SYS_futex, SYS_munmap, SYS_mremap,
             SYS_madvise, SYS_brk, SYS_clock_gettime, SYS_clock_nanosleep, SYS_restart_syscall,
             SYS_sched_yield, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
             SYS_sigaltstack, SYS_getpid, SYS_getppid, SYS_gettid, SYS_getrandom, SYS_exit,
             SYS_exit_group, SYS_pidfd_open, SYS_pidfd_send_signal,
#if defined(__x86_64__)
             SYS_poll, SYS_epoll_wait,
#endif
       })
    calls.push_back({call});
  return calls;
}

std::vector<Permitted> supervisor_calls(int shim_socket) {
  std::vector<Permitted> calls = keeper_calls(shim_socket);
  constexpr std::uint32_t kWrites = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
  calls.push_back({SYS_openat, 2, kWrites, O_RDONLY});
  // Of a thread that reads: it has no business with the descriptors of who answers.
  calls.push_back({SYS_unshare, 0, ~std::uint32_t{0}, CLONE_FILES});
  calls.push_back(
      {SYS_clone, 0, CLONE_THREAD, CLONE_THREAD});  // clone3 is not there: glibc asks this
  for (const int call : {
         SYS_openat2, SYS_process_vm_readv, SYS_pidfd_getfd,  // looking at who asks
             SYS_getsockname, SYS_getdents64, SYS_readlinkat, SYS_newfstatat, SYS_fstat, SYS_statx,
             SYS_statfs, SYS_fstatfs, SYS_pread64, SYS_ftruncate, SYS_eventfd2, SYS_close_range,
             SYS_set_robust_list, SYS_prlimit64, SYS_sched_getaffinity,
#if defined(SYS_rseq)
             SYS_rseq,
#endif
#if defined(__x86_64__)
             SYS_readlink,
#endif
       })
    calls.push_back({call});
  return calls;
}

}  // namespace moat::shim
