#include "shim/start.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "oci/socket.h"
#include "oci/spawn.h"
#include "oci/spec.h"
#include "oci/sys.h"
#include "shim/start_cgroup.h"
#include "shim/start_reply.h"
#include "shim/task/options.h"

namespace moat::shim {

namespace {

constexpr std::size_t kMaxInput = 10U << 20;
constexpr std::size_t kMaxSocketDir = 107 - 1 - 64;  // sun_path less the slash and the hash
constexpr int kLockTries = 200;
constexpr useconds_t kLockPause = 10000;

// The stdin of `start` belongs to a daemon: a person at a terminal has nothing to send.
Result<std::string> read_input() {
  if (::isatty(0) == 1) return std::string();
  return oci::read_all(0, kMaxInput);
}

// A sandboxed shim may be started without a config.json.
Result<std::string> read_group(const CommandLine& line) {
  auto text = oci::read_file("config.json");
  if (!text && text.error().err == ENOENT) return line.id;
  if (!text) return fail(std::move(text.error()));
  auto spec = oci::Spec::parse(*text);
  if (!spec) return fail(std::move(spec.error()));
  const auto annotations = spec->annotations();
  const auto value = [&](const char* key) {
    const auto found = annotations.find(key);
    return found == annotations.end() ? std::string() : found->second;
  };
  return group_of(value("io.containerd.runc.v2.group"), value("io.kubernetes.cri.sandbox-id"),
                  line.id);
}

// Between another start's bind and its listen its socket looks dead; it must not be taken for
// stale. Without the lock we go on: the worst is what runc's shim lives with.
UniqueFd lock_folder(const std::string& dir) {
  UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < kLockTries && ::flock(fd.raw(), LOCK_EX | LOCK_NB) != 0; ++i)
    ::usleep(kLockPause);
  return fd;
}

bool answers(const std::string& path) {
  // Non-blocking: the backlog of a shim that hangs may be full, which is an answer, too.
  const auto socket = oci::connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
  return socket || socket.error().err == EAGAIN;
}

// The listener, or none when a shim of the group is already there.
Result<UniqueFd> listen_or_join(const std::string& dir, const std::string& path) {
  const UniqueFd lock = lock_folder(dir);
  auto listener = oci::listen_unix(path, SOCK_STREAM, 0600);
  if (listener || listener.error().err != EADDRINUSE) return listener;
  if (answers(path)) return UniqueFd();
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, path);
  return oci::listen_unix(path, SOCK_STREAM, 0600);
}

// So that the kernel takes a shim before its daemon.
void set_oom_score(pid_t child) {
  const auto text = oci::read_file("/proc/" + std::to_string(::getppid()) + "/oom_score_adj", 64);
  if (!text) return;
  const int score = std::min(std::atoi(text->c_str()) + 1, 1000);
  const auto file = oci::open_file("/proc/" + std::to_string(child) + "/oom_score_adj", O_WRONLY);
  if (file) (void)oci::write_all(file->raw(), std::to_string(score));
}

// A core of its own for what shares nothing with its neighbours: the group of `start` gets the
// cookie and the server inherits it.
Status share_no_core() {
  constexpr int kSchedCore = 62, kCreate = 1, kProcessGroup = 2;  // newer than glibc's headers
  if (oci::env_or("SCHED_CORE", "").empty()) return {};
  if (::prctl(kSchedCore, kCreate, 0, kProcessGroup, 0) == 0) return {};
  return fail(Code::Unknown, std::string("SCHED_CORE: enable sched core support: ") +
                                 ::strerror(errno) +
                                 "; it needs CONFIG_SCHED_CORE and a CPU with SMT");
}

// Options that cannot be read are refused by Create, which gets the same ones.
Status place(const moat::wire::Any& options, pid_t child) {
  const auto decoded = decode_options(options, {});
  if (!decoded || decoded->shim_cgroup.empty()) return {};
  return join_cgroup(decoded->shim_cgroup, child);
}

// Its pidfd.
Result<UniqueFd> spawn_server(const CommandLine& line, const StartRequest& request,
                              UniqueFd listener) {
  std::array<char, 4096> self{}, bundle{};
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (n <= 0) return fail_errno(errno, "/proc/self/exe");
  if (::getcwd(bundle.data(), bundle.size()) == nullptr) return fail_errno(errno, "getcwd");
  auto prepared = share_no_core();
  if (!prepared) return fail(std::move(prepared.error()));
  oci::Command command;
  command.path = "/proc/self/exe";
  command.argv = {self.data(), "-namespace", line.ns,   "-id",        line.id,
                  "-address",  line.address, "-bundle", bundle.data()};
  if (line.debug || request.debug) command.argv.emplace_back("-debug");
  command.fds = {{listener.raw(), 3}};
  auto child = oci::spawn(command);
  if (!child) return fail(std::move(child.error()));
  set_oom_score(child->pid);
  auto placed = place(request.options, child->pid);
  if (placed) return std::move(child->pidfd);
  (void)oci::pidfd_signal(child->pidfd.raw(), SIGKILL);
  return fail(std::move(placed.error()));
}

// What leads from the bundle to the socket.
Status leave_address(const StartRequest& request, const std::string& path) {
  // Also for daemons that keep the address themselves: an older one may take over after them.
  auto written = oci::write_file_atomic("address", "unix://" + path, 0644);
  if (!written || request.socket_dir.empty()) return written;
  if (::unlink("s") != 0 && errno != ENOENT) return fail_errno(errno, "s");
  if (::symlink(request.socket_dir.c_str(), "s") != 0) return fail_errno(errno, "s");
  return {};
}

Result<std::string> start(const CommandLine& line) {
  auto input = read_input();
  if (!input) return fail(std::move(input.error()).in("stdin"));
  const StartRequest request = parse_start_input(*input, line);
  const std::string dir = request.socket_dir.empty()
                              ? oci::env_or("MOAT_SOCKET_DIR", "/run/containerd/s")
                              : request.socket_dir;
  if (dir.size() > kMaxSocketDir)
    return fail(Code::InvalidArgument,
                "socket folder " + dir + " is " + std::to_string(dir.size()) +
                    " bytes long, a socket's path leaves room for " +
                    std::to_string(kMaxSocketDir) + "; choose a shorter one");
  auto group = read_group(line);
  if (!group) return fail(std::move(group.error()));
  auto made = oci::make_dirs(dir, request.bootstrap ? 0700 : 0711);
  if (!made) return fail(std::move(made.error()));
  const std::string path = socket_path(dir, line, *group);
  auto listener = listen_or_join(dir, path);
  if (!listener) return fail(std::move(listener.error()));
  UniqueFd server;  // when it is ours
  if (listener->valid()) {
    auto spawned = spawn_server(line, request, std::move(*listener));
    if (!spawned) ::unlink(path.c_str());
    if (!spawned) return fail(std::move(spawned.error()));
    server = std::move(*spawned);
  }
  auto left = leave_address(request, path);
  if (!left) {
    if (server.valid()) ::unlink(path.c_str());
    if (server.valid()) (void)oci::pidfd_signal(server.raw(), SIGKILL);
    return fail(std::move(left.error()));
  }
  return start_reply(request, path);
}

}  // namespace

int start_main(const CommandLine& line) {
  const auto reply = start(line);
  // stdout and stderr are one stream to containerd: it is either the reply or an error.
  if (reply) return oci::write_all(1, *reply) ? 0 : 1;
  std::fprintf(stderr, "moat: start: %s\n", reply.error().what.c_str());
  return 1;
}

}  // namespace moat::shim
