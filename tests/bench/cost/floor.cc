#include "tests/bench/cost/floor.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <sstream>

#include "oci/sys.h"
#include "tests/bench/cost/worker.h"
#include "tests/bench/pod.h"

namespace moat::bench {

namespace {

constexpr unsigned long kSetFlags = 0x40082104;  // Linux 6.6; SET_FLAGS, by value
constexpr unsigned long kSyncWakeUp = 1;

constexpr std::uint32_t at(std::size_t offset) {
  return static_cast<std::uint32_t>(offset);
}

// socket, and opens for writing; the worker uses no other architecture's calls.
int install_filter() {
  constexpr std::uint32_t kWrites = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
  std::array<sock_filter, 7> code{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(offsetof(seccomp_data, nr))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(offsetof(seccomp_data, args) + 2 * 8)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kWrites, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  }};
  sock_fprog program{code.size(), code.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

void answer_calls(int listener) {
  (void)::ioctl(listener, kSetFlags, kSyncWakeUp);
  seccomp_notif question{};
  seccomp_notif_resp answer{};
  for (;;) {
    std::memset(&question, 0, sizeof question);
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) != 0) continue;
    answer.id = question.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

void answer_opens(int group) {
  alignas(fanotify_event_metadata) std::array<std::byte, 4096> buffer;
  for (;;) {
    auto left = static_cast<long>(::read(group, buffer.data(), buffer.size()));
    const auto* event = reinterpret_cast<const fanotify_event_metadata*>(buffer.data());
    for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
      const fanotify_response answer{event->fd, FAN_ALLOW};
      (void)!::write(group, &answer, sizeof answer);
      ::close(event->fd);
    }
  }
}

bool enter(const std::string& dir) {
  std::istringstream groups(oci::read_file(dir + "/cgroups").value_or(std::string()));
  for (std::string group; std::getline(groups, group);)
    if (std::ofstream members(group + "/cgroup.procs"); !(members << "0" << std::flush))
      return false;
  const std::string root = dir + "/rootfs";
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
         ::chroot(root.c_str()) == 0 && ::chdir("/") == 0;
}

struct Ends {
  UniqueFd read, write;
};

// How the worker and its loop find each other.
struct Meeting {
  Ends ready, go;
};

Result<Ends> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  return Ends{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Says its listener's number (0: it needs none) and goes on as soon as it hears that it may.
[[noreturn]] void be_worker(FloorKind kind, const std::string& dir, const Meeting& meeting,
                            std::array<int, 2> streams) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int number = enter(dir) ? 0 : -1;
  if (number == 0 && kind == FloorKind::Seccomp) number = install_filter();
  char byte = 0;
  if (::write(meeting.ready.write.raw(), &number, sizeof number) != sizeof number || number < 0 ||
      ::read(meeting.go.read.raw(), &byte, 1) != 1)
    ::_exit(1);
  if (number > 0) ::close(number);
  ::_exit(work(streams[0], streams[1]));
}

UniqueFd guard(FloorKind kind, pid_t worker, int number) {
  if (kind == FloorKind::Seccomp) {
    const auto pidfd = oci::pidfd_open(worker);
    if (!pidfd) return {};
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd->raw(), number, 0)));
  }
  UniqueFd group(::fanotify_init(
      FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_REPORT_TID | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
      O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK));
  const std::string root = "/proc/" + std::to_string(worker) + "/root/";
  if (::fanotify_mark(group.raw(), FAN_MARK_ADD | FAN_MARK_MOUNT,
                      FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, AT_FDCWD, root.c_str()) != 0)
    return {};
  return group;
}

[[noreturn]] void be_loop(FloorKind kind, const std::string& dir, std::array<int, 2> streams) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto ready = make_pipe(), go = make_pipe();
  if (!ready || !go) ::_exit(1);
  const Meeting meeting{std::move(*ready), std::move(*go)};
  const pid_t worker = ::fork();
  if (worker == 0) be_worker(kind, dir, meeting, streams);
  for (const int fd : streams) ::close(fd);
  int number = -1;
  if (::read(meeting.ready.read.raw(), &number, sizeof number) != sizeof number || number < 0)
    ::_exit(1);
  const UniqueFd guarded = guard(kind, worker, number);
  if (!guarded.valid() || ::write(meeting.go.write.raw(), "", 1) != 1) ::_exit(1);
  if (kind == FloorKind::Seccomp)
    answer_calls(guarded.raw());
  else
    answer_opens(guarded.raw());
  ::_exit(0);
}

}  // namespace

Result<std::unique_ptr<Floor>> Floor::start(FloorKind kind, const std::string& dir) {
  auto in = make_pipe(), out = make_pipe();
  if (!in || !out) return fail(Error((in ? out : in).error()));
  std::unique_ptr<Floor> floor(new Floor);
  floor->loop_ = ::fork();
  if (floor->loop_ < 0) return fail_errno(errno, "fork");
  if (floor->loop_ == 0) {
    in->write.reset();
    out->read.reset();
    be_loop(kind, dir, {in->read.raw(), out->write.raw()});
  }
  floor->input_ = std::move(in->write);
  floor->output_ = std::move(out->read);
  return floor;
}

Floor::~Floor() {
  ::kill(loop_, SIGKILL);  // and its worker with it
  ::waitpid(loop_, nullptr, 0);
}

Result<std::string> Floor::order(const std::string& line) {
  if (auto written = oci::write_all(input_.raw(), line + "\n"); !written)
    return fail(std::move(written.error()));
  return read_line(output_.raw());
}

}  // namespace moat::bench
