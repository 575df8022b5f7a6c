#include "shim/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "oci/memory.h"
#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/events/publisher.h"
#include "shim/log.h"
#include "shim/reaper.h"
#include "shim/supervise/make_guard.h"
#include "shim/task/service.h"
#include "shim/ttrpc/server.h"

namespace moat::shim {

namespace {

using std::chrono::milliseconds;

constexpr int kListener = 3;                // where `start` puts it
constexpr milliseconds kFlushEvents{3000};  // containerd allows three seconds for Shutdown
constexpr milliseconds kFlushReplies{1000};

// A client whose Delete timed out believes the task gone and never asks for the shutdown.
milliseconds idle_exit() {
  constexpr long kDefault = 30000;
  const long value = std::strtol(oci::env_or("MOAT_IDLE_EXIT_MS", "").c_str(), nullptr, 10);
  return milliseconds{value > 0 ? value : kDefault};
}

Result<UniqueFd> take_listener(const CommandLine& line) {
  if (!line.socket.empty()) return oci::listen_unix(line.socket, SOCK_STREAM, 0600);
  int listening = 0;
  socklen_t length = sizeof listening;
  if (::getsockopt(kListener, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || !listening)
    return fail(
        Code::InvalidArgument,
        "descriptor 3 is not a listening socket: run the action `start`, or name a -socket");
  UniqueFd listener(kListener);
  // At once, or every container would inherit the shim's own socket.
  ::fcntl(kListener, F_SETFD, FD_CLOEXEC);
  ::fcntl(kListener, F_SETFL, O_NONBLOCK);
  return listener;
}

std::string path_of(int listener) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  return address.sun_path;
}

Result<UniqueFd> open_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGUSR1}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno(errno, "signalfd");
  return fd;
}

std::string bundle_of(const CommandLine& line) {
  std::array<char, 4096> cwd{};
  return ::getcwd(cwd.data(), cwd.size()) == nullptr ? line.bundle : std::string(cwd.data());
}

class ShimServer {
 public:
  ShimServer(oci::Loop& loop, const CommandLine& line, std::string socket_path,
             const Result<oci::NodeConfig>& node)
      : loop_(loop),
        reaper_(loop),
        publisher_(loop, oci::env_or("TTRPC_ADDRESS", ""), line.ns),
        guard_(make_guard({loop_, reaper_, registry_},
                          {line.ns, line.id, line.address, bundle_of(line), socket_path}, node)),
        tasks_(loop, publisher_, *guard_, reaper_, line.ns),
        service_(tasks_, [this] { shut_down(); }),
        server_(loop, registry_),
        socket_path_(std::move(socket_path)) {
    if (node) tasks_.defaults = node_defaults(*node);
  }

  Status serve(UniqueFd listener, UniqueFd signals) {
    service_.register_in(registry_);
    tasks_.changed = [this] { check_idle(); };
    server_.on_connections_changed([this] { check_idle(); });
    signals_ = std::move(signals);
    auto watched = loop_.watch(signals_.raw(), EPOLLIN, [this](std::uint32_t) { on_signals(); });
    if (!watched) return watched;
    check_idle();
    return server_.serve(std::move(listener));
  }

 private:
  void on_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.raw(), &info, sizeof info) == sizeof info) {
      switch (info.ssi_signo) {
        case SIGCHLD:
          reaper_.sweep();
          break;
        case SIGUSR1:
          dump();
          break;
        case SIGTERM:
        case SIGINT:
          log_info("shim is asked to end", {{"signal", std::to_string(info.ssi_signo)}});
          shut_down();
          break;
      }
    }
  }

  void dump() const {
    for (const auto& [id, container] : tasks_.containers)
      log_info("container", {{"id", id},
                             {"state", to_string(container->init->state)},
                             {"pid", std::to_string(container->init->pid)},
                             {"execs", std::to_string(container->execs.size())}});
    log_info("shim", {{"connections", std::to_string(server_.connections())},
                      {"creating", std::to_string(tasks_.creating.size())},
                      {"events_dropped", std::to_string(publisher_.dropped())}});
  }

  void check_idle() {
    const bool idle = tasks_.idle() && server_.connections() == 0;
    if (!idle) loop_.cancel(std::exchange(idle_timer_, 0));
    if (idle && idle_timer_ == 0) idle_timer_ = loop_.after(idle_exit(), [this] { shut_down(); });
  }

  void shut_down() {
    if (std::exchange(ending_, true)) return;
    // First the name, then the listener: whoever binds the name next must not lose it to us.
    if (!socket_path_.empty()) ::unlink(socket_path_.c_str());
    server_.stop_accepting();
    publisher_.flush(kFlushEvents,
                     [this] { server_.flush(kFlushReplies, [this] { loop_.stop(); }); });
  }

  oci::Loop& loop_;
  Reaper reaper_;
  Publisher publisher_;
  ttrpc::Registry registry_;
  std::unique_ptr<Guard> guard_;
  Tasks tasks_;
  TaskService service_;
  ttrpc::Server server_;
  UniqueFd signals_;
  std::string socket_path_;
  oci::Loop::TimerId idle_timer_ = 0;
  bool ending_ = false;
};

Status serve(const CommandLine& line) {
  oci::keep_heap_small();
  ::prctl(PR_SET_NAME, "containerd-shim");  // "exe" otherwise: the way it was started
  log_to_fifo("log");
  ::unsetenv("NOTIFY_SOCKET");  // containerd's, and not for the runtime
  auto listener = take_listener(line);
  if (!listener) return fail(std::move(listener.error()));
  auto signals = open_signals();
  if (!signals) return fail(std::move(signals.error()));
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail_errno(errno, "PR_SET_CHILD_SUBREAPER");
  auto loop = oci::Loop::create();
  if (!loop) return fail(std::move(loop.error()));
  ShimServer server(**loop, line, path_of(listener->raw()), oci::NodeConfig::load());
  auto serving = server.serve(std::move(*listener), std::move(*signals));
  if (!serving) return serving;
  (*loop)->run();
  (*loop)->drop_all();  // a signal may end us in the middle of anything
  return {};
}

}  // namespace

int serve_main(const CommandLine& line) {
  const auto served = serve(line);
  if (served) return 0;
  log_error("shim cannot serve", {{"error", served.error().what}});
  return 1;
}

}  // namespace moat::shim
