#include "shim/supervise/probes.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>

#include "oci/fd.h"
#include "oci/sys.h"
#include "policies/device_program.h"
#include "policies/network_program.h"
#include "shim/supervise/bpf.h"
#include "shim/supervise/cut_probe.h"
#include "shim/supervise/kernel_names.h"
#include "shim/supervise/readonly_probe.h"
#include "shim/supervise/roles.h"

namespace moat::shim {

namespace {

constexpr int kPatienceMs = 2000;  // a kernel that answers at all answers in microseconds

// A child that does one thing; its exit status is what `work` returns, an errno or 0.
template <class Work>
pid_t start_child(Work work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::_exit(work());
}

int status_of(pid_t pid) {
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return ECHILD;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

Status expect(int err, const char* what) {
  if (err == 0) return {};
  return fail_errno(err, what);
}

int install_listener() {
  sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  sock_fprog program{1, &allow};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  const long fd =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  return fd < 0 ? errno : 0;
}

Status try_listener() {
  return expect(status_of(start_child(install_listener)), "seccomp listener");
}

// The whole way: a child's open is asked about, refused, and fails.
Status answer_one(int group, pid_t child) {
  pollfd entry{group, POLLIN, 0};
  fanotify_event_metadata event{};
  if (::poll(&entry, 1, kPatienceMs) != 1 ||
      ::read(group, &event, sizeof event) != static_cast<ssize_t>(sizeof event)) {
    ::kill(child, SIGKILL);
    (void)status_of(child);
    return fail(Code::Unavailable, "fanotify: no question came for an open");
  }
  const UniqueFd opened(event.fd);
  const fanotify_response response{event.fd, FAN_DENY};
  if (::write(group, &response, sizeof response) < 0) return fail_errno(errno, "fanotify");
  if (status_of(child) == EPERM) return {};
  return fail(Code::Unavailable, "fanotify: an open that was refused succeeded");
}

Status try_fanotify() {
  const UniqueFd file(::memfd_create("moat-probe", MFD_CLOEXEC));
  const UniqueFd group(::fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK,
                                       O_RDONLY | O_CLOEXEC | O_LARGEFILE));
  if (!file.valid() || !group.valid()) return fail_errno(errno, "fanotify_init");
  const std::string path = "/proc/self/fd/" + std::to_string(file.raw());
  if (::fanotify_mark(group.raw(), FAN_MARK_ADD, FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, AT_FDCWD,
                      path.c_str()) != 0)
    return fail_errno(errno, "fanotify permission events");
  const pid_t child =
      start_child([&path] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC) < 0 ? errno : 0; });
  if (child < 0) return fail_errno(errno, "fork");
  return answer_one(group.raw(), child);
}

// A descriptor and a byte of another process.
Status try_tracee() {
  static const char kByte = 'm';
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const UniqueFd read_end(ends[0]), write_end(ends[1]);
  const pid_t child = start_child([] { return ::pause(); });
  if (child < 0) return fail_errno(errno, "fork");
  char byte = 0;
  iovec local{&byte, 1}, remote{const_cast<char*>(&kByte), 1};
  int err = ::process_vm_readv(child, &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
  if (err == 0) {
    const auto pidfd = oci::pidfd_open(child);
    const UniqueFd copy(
        pidfd ? static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd->raw(), read_end.raw(), 0)) : -1);
    if (!copy.valid()) err = errno;
  }
  ::kill(child, SIGKILL);
  (void)status_of(child);
  return expect(err, "looking into a process (CAP_SYS_PTRACE)");
}

using Programs = std::vector<policies::NetworkProgram>;

Result<policies::Policy> shipped() {
  return policies::builtin_document("builtin/python")
      .and_then(
          [](const policies::Document& document) { return policies::Policy::bind(document, {}); });
}

Result<Programs> of_network(std::optional<policies::KernelNames> names = {}) {
  return shipped().and_then([&](const policies::Policy& policy) {
    return policies::network_programs(policy, policies::Mode::Enforce, names);
  });
}

Result<Programs> of_devices() {
  return shipped().and_then([](const policies::Policy& policy) {
    return policies::device_programs(policy, policies::Mode::Enforce, {{"/dev/null", false, 1, 3}});
  });
}

// The very programs that would hold a container, at no cgroup.
Status load_programs(const Result<Programs>& programs, bool of_unix) {
  if (!programs) return fail(Error(programs.error()));
  const auto state = bpf::make_state();
  if (!state) return fail(Error(state.error()));
  const auto ring = bpf::make_ring(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  if (!ring) return fail(Error(ring.error()));
  for (const policies::NetworkProgram& program : *programs) {
    const policies::HookKind& kind = policies::kind_of(program.hook);
    if (kind.is_unix() != of_unix) continue;
    auto loaded = bpf::load(kind, program.code, state->raw(), ring->raw());
    if (!loaded && !program.named && !program.plain.empty())
      loaded = bpf::load(kind, program.plain, state->raw(), ring->raw());
    if (!loaded) return fail(std::move(loaded.error()));
  }
  return {};
}

Status try_cgroup_bpf() {
  return load_programs(of_network(), false);
}

Status try_unix_bpf() {
  return load_programs(of_network(), true);
}

Status try_device_bpf() {
  return load_programs(of_devices(), false);
}

Status try_cutting() {
  return expect(status_of(start_child([] {
                  const Status cut = cut_own_connection();
                  return cut ? 0 : std::max(cut.error().err, 1);
                })),
                "ending a connection (INET_DIAG_DESTROY)");
}

Status try_unix_names() {
  const auto names = kernel_names();
  return names ? load_programs(of_network(*names), true) : fail(Error(names.error()));
}

constexpr std::array kProbes{
    Probe{"seccomp listener", "system calls are decided while they wait", true, try_listener},
    Probe{"fanotify permission events", "reads and programs are decided on the file itself", true,
          try_fanotify},
    Probe{"read-only mounts", "writes outside the declared places fail in the kernel", true,
          try_readonly_mount},
    Probe{"looking into a process", "reports name paths, addresses and programs", true, try_tracee},
    Probe{"cgroup BPF", "network addresses are told apart by the kernel's own copy", false,
          try_cgroup_bpf},
    Probe{"cgroup BPF on Unix sockets", "a phase can name addresses without opening Unix sockets",
          false, try_unix_bpf},
    Probe{"cgroup BPF on devices", "a device is told by its number, whatever path leads to it",
          false, try_device_bpf},
    Probe{"ending connections", "connections that a phase does not allow are cut when it begins",
          false, try_cutting},
    Probe{"names of Unix sockets", "a phase can name Unix sockets by their paths", false,
          try_unix_names},
};

}  // namespace

std::span<const Probe> probes() {
  return kProbes;
}

// A line for each that fails. Of low priority: nobody waits for it.
int probes_main() {
  (void)!::nice(10);
  for (const Probe& probe : kProbes) {
    const Status tried = probe.attempt();
    if (tried) continue;
    const std::string line = std::string(probe.name) + " (" + tried.error().what +
                             "), without which it is not so that " + std::string(probe.promise) +
                             "\n";
    if (!oci::write_all(STDOUT_FILENO, line)) return 1;
  }
  return 0;
}

}  // namespace moat::shim
