#include "shim/delete.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "oci/runc.h"
#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/cgroups/cgroup.h"
#include "shim/proto/task.pb.h"
#include "shim/supervise/cleanup.h"
#include "shim/task/mounts.h"
#include "shim/task/options.h"

namespace moat::shim {

namespace {

constexpr std::uint32_t kKilled = 137;  // 128 + SIGKILL: what became of it, seen from containerd

// containerd kills us after five seconds, and then knows neither a pid nor a time.
constexpr std::chrono::milliseconds kRuntimeDeadline{2500};
constexpr std::chrono::milliseconds kGrace{200};  // from its kill to its end
constexpr std::chrono::milliseconds kUnmountDeadline{1500};

void warn(const Error& error) {
  std::fprintf(stderr, "moat: delete: %s\n", error.what.c_str());
}

// Whether the runtime still knows the container. Its folder is there once it has run in this
// namespace; every runtime names what it keeps of a container after it. After a removal nothing is
// left, and starting a Go program to hear that costs more than all the rest.
bool is_known(const std::string& root, const std::string& id) {
  std::error_code failed;
  std::filesystem::directory_iterator entries(root, failed);
  if (failed) return true;
  for (const auto& entry : entries)
    if (entry.path().filename().string().starts_with(id)) return true;
  return false;
}

Status runtime_delete(const oci::RuncConfig& config, const std::string& id) {
  if (!is_known(config.root, id)) return {};
  auto loop = oci::Loop::create();
  if (!loop) return fail(std::move(loop.error()));
  Status result = fail(Code::DeadlineExceeded, config.binary + " delete cannot be killed");
  (*loop)->after(kRuntimeDeadline + kGrace, [&] { (*loop)->stop(); });
  oci::run_runc(**loop,
                {.argv = oci::runc_delete(config, id, true),
                 .log = config.log,
                 .fds = {},
                 .deadline = kRuntimeDeadline},
                [&](Status status) {
                  result = std::move(status);
                  (*loop)->stop();
                });
  (*loop)->run();
  return result;
}

// A busy mount is tried again for longer than we have; containerd unmounts once more itself.
Status unmount(const std::string& rootfs) {
  const auto mountinfo = oci::read_file("/proc/self/mountinfo", 64U << 20);
  if (mountinfo && mount_points_under(*mountinfo, rootfs).empty()) return {};
  auto loop = oci::Loop::create();
  if (!loop) return fail(std::move(loop.error()));
  Status result = fail(Code::DeadlineExceeded, "unmounting " + rootfs + " takes too long");
  (*loop)->after(kUnmountDeadline, [&] { (*loop)->stop(); });
  unmount_tree_async(**loop, rootfs, [&](Status status) {
    result = std::move(status);
    (*loop)->stop();
  });
  (*loop)->run();
  return result;
}

pid_t init_pid(const std::string& bundle) {
  const auto text = oci::read_file(bundle + "/init.pid", 64);
  return text ? std::atoi(text->c_str()) : 0;
}

// A runtime that fails must not leave a container behind that nobody knows. The number in the file
// may have a new owner: it is the container's own if its cgroup is named after it.
void kill_without_runtime(pid_t pid, const std::string& id) {
  if (pid <= 1) return;
  const auto cgroup = Cgroup::of_process(pid);
  if (!cgroup) return;
  const std::string folder = cgroup->folder() + "/";
  if (folder.find("/" + id + "/") == std::string::npos &&
      folder.find("-" + id + ".scope/") == std::string::npos)
    return;
  cgroup->thaw();
  cgroup->signal_all(SIGKILL);
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
  const pid_t pid = init_pid(*bundle);
  if (auto deleted = runtime_delete(config, line.id); !deleted) {
    warn(deleted.error());
    kill_without_runtime(pid, line.id);
  }
  if (auto cleaned = supervise_cleanup(line.ns, line.id); !cleaned) warn(cleaned.error());
  remove_stale_socket(*bundle);
  if (auto unmounted = unmount(*bundle + "/rootfs"); !unmounted) warn(unmounted.error());
  const auto [seconds, nanos] = oci::utc_now();
  containerd::task::DeleteResponse response;
  response.set_pid(static_cast<std::uint32_t>(pid));
  response.set_exit_status(kKilled);
  response.mutable_exited_at()->set_seconds(seconds);
  response.mutable_exited_at()->set_nanos(nanos);
  return oci::write_all(1, response.SerializeAsString()) ? 0 : 1;
}

}  // namespace moat::shim
