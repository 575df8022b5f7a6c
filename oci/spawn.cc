#include "oci/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "oci/sys.h"

namespace moat::oci {

namespace {

constexpr std::size_t kMaxOutput = 64U << 10;          // the last words of a runtime that floods us
constexpr idtype_t kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, absent from older headers

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// Sources are first lifted above every target, so that no dup2 overwrites one still to be copied.
Result<std::vector<UniqueFd>> lift(const std::vector<std::pair<int, int>>& fds, int above) {
  std::vector<UniqueFd> lifted;
  for (const auto& [ours, theirs] : fds) {
    UniqueFd copy(::fcntl(ours, F_DUPFD_CLOEXEC, above));
    if (!copy.valid()) return fail_errno(errno, "duplicating a descriptor for a child");
    lifted.push_back(std::move(copy));
  }
  return lifted;
}

}  // namespace

Result<Child> spawn(const Command& command) {
  int top = 2;
  for (const auto& [ours, theirs] : command.fds) top = std::max(top, theirs);
  auto lifted = lift(command.fds, top + 1);
  if (!lifted) return fail(std::move(lifted.error()));

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  for (int fd = 0; fd <= 2; ++fd)
    ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  for (std::size_t i = 0; i < command.fds.size(); ++i)
    ::posix_spawn_file_actions_adddup2(&actions, (*lifted)[i].raw(), command.fds[i].second);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, top + 1);
  if (!command.cwd.empty()) ::posix_spawn_file_actions_addchdir_np(&actions, command.cwd.c_str());
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (command.new_group) flags |= POSIX_SPAWN_SETPGROUP;
  ::posix_spawnattr_setflags(&attributes, flags);

  auto argv = pointers(command.argv);
  auto env = pointers(command.env);
  pid_t pid = 0;
  const char* program = command.path.empty() ? argv[0] : command.path.c_str();
  const int err = ::posix_spawnp(&pid, program, &actions, &attributes, argv.data(),
                                 command.env.empty() ? environ : env.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (err != 0) return fail_errno(err, "cannot start " + command.argv[0]);
  auto pidfd = pidfd_open(pid);  // our own unreaped child: the number cannot be reused yet
  if (!pidfd) return fail(std::move(pidfd.error()));
  return Child{pid, std::move(*pidfd)};
}

Result<Exit> reap(int pidfd) {
  siginfo_t info{};
  if (::waitid(kPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0)
    return fail_errno(errno, "waitid");
  if (info.si_pid == 0) return fail(Code::Unavailable, "still running");
  const bool signalled = info.si_code != CLD_EXITED;
  return Exit{signalled ? 128 + info.si_status : info.si_status, signalled};
}

namespace {

// One running command; keeps itself alive through the callbacks it has registered.
struct Running : std::enable_shared_from_this<Running> {
  Loop& loop;
  Child child;
  UniqueFd output, input;
  std::string to_write;
  RunResult result;
  Loop::TimerId deadline = 0;
  std::function<void(Result<RunResult>)> done;

  explicit Running(Loop& l) : loop(l) {}

  void drain() {
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::read(output.raw(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        if (n == 0 || errno != EAGAIN) close_output();
        return;
      }
      const std::size_t room = kMaxOutput - result.output.size();
      result.output.append(buffer, std::min(room, static_cast<std::size_t>(n)));
    }
  }

  void close_output() {
    if (!output.valid()) return;
    loop.forget(output.raw());
    output.reset();
  }

  void feed() {
    while (!to_write.empty()) {
      const ssize_t n = ::write(input.raw(), to_write.data(), to_write.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) break;  // it closed its stdin: its exit status tells
      to_write.erase(0, static_cast<std::size_t>(n));
    }
    loop.forget(input.raw());
    input.reset();
  }

  void finish() {
    auto exit = reap(child.pidfd.raw());
    if (!exit && exit.error().code == Code::Unavailable) return;
    loop.forget(child.pidfd.raw());
    loop.cancel(deadline);
    if (output.valid()) drain();  // what is in the pipe now; a grandchild may hold it open for ever
    close_output();
    if (input.valid()) {
      loop.forget(input.raw());
      input.reset();
    }
    auto callback = std::move(done);
    if (!exit) {
      callback(fail(std::move(exit.error())));
      return;
    }
    result.exit = *exit;
    callback(std::move(result));
  }
};

}  // namespace

void run(Loop& loop, Command command, std::string input, std::chrono::milliseconds deadline,
         std::function<void(Result<RunResult>)> done) {
  int out[2], in[2];
  if (::pipe2(out, O_CLOEXEC) != 0) {
    loop.post([done, err = errno] { done(fail_errno(err, "pipe")); });
    return;
  }
  auto running = std::make_shared<Running>(loop);
  running->output = UniqueFd(out[0]);
  UniqueFd child_output(out[1]), child_input;
  if (!input.empty() && ::pipe2(in, O_CLOEXEC) == 0) {
    child_input = UniqueFd(in[0]);
    running->input = UniqueFd(in[1]);
    running->to_write = std::move(input);
    command.fds.emplace_back(child_input.raw(), 0);
    ::fcntl(in[1], F_SETFL, O_NONBLOCK);
  }
  ::fcntl(out[0], F_SETFL, O_NONBLOCK);
  for (const int number : {1, 2})  // a container's own stdio goes past us
    if (std::ranges::none_of(command.fds, [&](const auto& fd) { return fd.second == number; }))
      command.fds.emplace_back(child_output.raw(), number);
  auto child = spawn(command);
  if (!child) {
    loop.post([done, error = child.error()] { done(fail(error)); });
    return;
  }
  if (command.spawned) command.spawned(child->pid);
  running->child = std::move(*child);
  running->done = std::move(done);
  (void)loop.watch(running->output.raw(), EPOLLIN, [running](std::uint32_t) { running->drain(); });
  if (running->input.valid())
    (void)loop.watch(running->input.raw(), EPOLLOUT, [running](std::uint32_t) { running->feed(); });
  (void)loop.watch(running->child.pidfd.raw(), EPOLLIN,
                   [running](std::uint32_t) { running->finish(); });
  running->deadline = loop.after(deadline, [running] {
    running->result.timed_out = true;
    ::kill(-running->child.pid, SIGKILL);
  });
}

}  // namespace moat::oci
