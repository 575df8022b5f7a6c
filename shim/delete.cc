#include "shim/delete.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "oci/runc.h"
#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/proto/task.pb.h"
#include "shim/supervise/cleanup.h"
#include "shim/task/mounts.h"
#include "shim/task/options.h"

namespace moat::shim {

namespace {

constexpr std::uint32_t kKilled = 137;  // 128 + SIGKILL: what became of it, seen from containerd

// containerd kills us after five seconds; the mounts need some of them.
constexpr std::chrono::milliseconds kRuntimeDeadline{3500};

void warn(const Error& error) {
  std::fprintf(stderr, "moat: delete: %s\n", error.what.c_str());
}

Status runtime_delete(const oci::RuncConfig& config, const std::string& id) {
  auto loop = oci::Loop::create();
  if (!loop) return fail(std::move(loop.error()));
  Status result = fail(Code::DeadlineExceeded, config.binary + " delete --force hangs");
  (*loop)->after(kRuntimeDeadline, [&] { (*loop)->stop(); });
  oci::run_runc(**loop, {oci::runc_delete(config, id, true), config.log, {}, ""},
                [&](Status status) {
                  result = std::move(status);
                  (*loop)->stop();
                });
  (*loop)->run();
  return result;
}

// The bundle lies beside the folder we were started in, which may be another task's of the group.
Result<std::string> bundle_of(const CommandLine& line) {
  std::array<char, 4096> cwd{};
  if (::getcwd(cwd.data(), cwd.size()) == nullptr) return fail_errno(errno, "getcwd");
  const std::string here(cwd.data());
  return here.substr(0, here.rfind('/')) + "/" + line.id;
}

// A shim that was killed leaves its socket behind. The shim of a group may well be alive: it serves
// the others.
void remove_stale_socket(const std::string& bundle) {
  constexpr std::string_view kScheme = "unix://";
  const auto address = oci::read_file(bundle + "/address", 4096);
  if (!address || !address->starts_with(kScheme)) return;
  const std::string path = address->substr(kScheme.size());
  const auto socket = oci::connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
  if (!socket && socket.error().err == ECONNREFUSED) ::unlink(path.c_str());
}

}  // namespace

int delete_main(const CommandLine& line) {
  for (const int signal : {SIGTERM, SIGINT, SIGPIPE}) ::signal(signal, SIG_IGN);
  const auto bundle = bundle_of(line);
  if (!bundle) {
    warn(bundle.error());
    return 1;
  }
  // An unreadable file must not keep the container alive: the defaults are the usual case.
  auto options = load_options(*bundle);
  if (!options) {
    warn(options.error());
    options = RuntimeOptions{};
  }
  const oci::RuncConfig config{options->binary, options->root + "/" + line.ns,
                               *bundle + "/log.json", options->systemd_cgroup};
  if (auto deleted = runtime_delete(config, line.id); !deleted) warn(deleted.error());
  if (auto cleaned = supervise_cleanup(line.ns, line.id); !cleaned) warn(cleaned.error());
  remove_stale_socket(*bundle);
  if (auto unmounted = unmount_tree(*bundle + "/rootfs"); !unmounted) warn(unmounted.error());
  const auto pid = oci::read_file(*bundle + "/init.pid", 64);
  const auto [seconds, nanos] = oci::utc_now();
  containerd::task::DeleteResponse response;
  response.set_pid(pid ? static_cast<std::uint32_t>(std::atoi(pid->c_str())) : 0U);
  response.set_exit_status(kKilled);
  response.mutable_exited_at()->set_seconds(seconds);
  response.mutable_exited_at()->set_nanos(nanos);
  return oci::write_all(1, response.SerializeAsString()) ? 0 : 1;
}

}  // namespace moat::shim
