#include "oci/runc.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "oci/sys.h"

namespace moat::oci {

namespace {

constexpr std::size_t kMaxLogRead = 1U << 20;  // of one call; the last error is at the end

Argv base(const RuncConfig& config) {
  Argv argv{config.binary};
  if (!config.root.empty()) {
    argv.emplace_back("--root");
    argv.push_back(config.root);
  }
  argv.insert(argv.end(), {"--log", config.log, "--log-format", "json"});
  if (config.systemd_cgroup) argv.emplace_back("--systemd-cgroup");
  return argv;
}

Argv with(const RuncConfig& config, std::initializer_list<std::string> tail) {
  Argv argv = base(config);
  argv.insert(argv.end(), tail);
  return argv;
}

void add(Argv& argv, const char* option, const std::string& value) {
  if (!value.empty()) argv.insert(argv.end(), {option, value});
}

void add(Argv& argv, const char* option, bool wanted) {
  if (wanted) argv.emplace_back(option);
}

off_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

Result<std::string> log_since(const std::string& path, off_t offset) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return fail(std::move(fd.error()));
  const off_t end = size_of(path);
  const auto window = static_cast<off_t>(kMaxLogRead);
  const off_t start = end - offset > window ? end - window : offset;
  if (::lseek(fd->raw(), start, SEEK_SET) < 0) return fail_errno(errno, path);
  return read_all(fd->raw(), 2 * kMaxLogRead);
}

std::string exit_text(const RunResult& result) {
  const int status = result.exit.status;
  return "runc did not terminate successfully: " +
         (result.exit.signalled ? "signal " + std::to_string(status - 128)
                                : "exit status " + std::to_string(status)) +
         ": " + result.output;
}

Status judge(const RunResult& result, const RuncCall& call, off_t log_offset) {
  if (result.timed_out)
    return fail(Code::DeadlineExceeded, call.argv[0] + " did not finish within " +
                                            std::to_string(call.deadline.count() / 1000) +
                                            " s and was killed");
  if (result.exit.status == 0) return {};
  if (call.quote_output) return fail(Code::Unknown, exit_text(result));
  const auto log = log_since(call.log, log_offset);
  if (!log)
    return fail(Code::Unknown, "unable to retrieve OCI runtime error (" + log.error().what +
                                   "): " + exit_text(result));
  std::string reason = last_log_error(*log);
  return fail(Code::Unknown, reason.empty() ? exit_text(result) : std::move(reason));
}

}  // namespace

Argv runc_create(const RuncConfig& config, const RuncCreate& create) {
  Argv argv = with(config, {"create", "--bundle", create.bundle, "--pid-file", create.pid_file});
  add(argv, "--console-socket", create.console_socket);
  add(argv, "--no-pivot", create.no_pivot);
  add(argv, "--no-new-keyring", create.no_new_keyring);
  argv.push_back(create.id);
  return argv;
}

Argv runc_exec(const RuncConfig& config, const RuncExec& exec) {
  Argv argv = with(
      config, {"exec", "--process", exec.process_file, "--detach", "--pid-file", exec.pid_file});
  add(argv, "--console-socket", exec.console_socket);
  argv.push_back(exec.id);
  return argv;
}

Argv runc_start(const RuncConfig& config, const std::string& id) {
  return with(config, {"start", id});
}

Argv runc_delete(const RuncConfig& config, const std::string& id, bool force) {
  return force ? with(config, {"delete", "--force", id}) : with(config, {"delete", id});
}

Argv runc_pause(const RuncConfig& config, const std::string& id) {
  return with(config, {"pause", id});
}

Argv runc_resume(const RuncConfig& config, const std::string& id) {
  return with(config, {"resume", id});
}

Argv runc_update(const RuncConfig& config, const std::string& id) {
  return with(config, {"update", "--resources=-", id});
}

Argv runc_checkpoint(const RuncConfig& config, const RuncCheckpoint& checkpoint) {
  Argv argv = with(config, {"checkpoint", "--image-path", checkpoint.image_path});
  add(argv, "--work-path", checkpoint.work_path);
  add(argv, "--parent-path", checkpoint.parent_path);
  add(argv, "--tcp-established", checkpoint.open_tcp);
  add(argv, "--ext-unix-sk", checkpoint.external_unix_sockets);
  add(argv, "--shell-job", checkpoint.terminal);
  add(argv, "--file-locks", checkpoint.file_locks);
  add(argv, "--manage-cgroups-mode", checkpoint.cgroups_mode);
  for (const std::string& name : checkpoint.empty_namespaces) add(argv, "--empty-ns", name);
  add(argv, "--leave-running", checkpoint.leave_running);
  argv.push_back(checkpoint.id);
  return argv;
}

Argv runc_restore(const RuncConfig& config, const RuncRestore& restore) {
  Argv argv = with(config, {"restore", "--image-path", restore.image_path});
  add(argv, "--work-path", restore.work_path);
  add(argv, "--parent-path", restore.parent_path);
  argv.insert(argv.end(), {"--detach", "--pid-file", restore.pid_file});
  add(argv, "--console-socket", restore.console_socket);
  add(argv, "--no-pivot", restore.no_pivot);
  argv.insert(argv.end(), {"--no-subreaper", "--bundle", restore.bundle, restore.id});
  return argv;
}

std::string last_log_error(std::string_view log) {
  std::string last;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object()) continue;
    const auto level = entry.find("level");
    const auto message = entry.find("msg");
    if (level == entry.end() || message == entry.end() || *level != "error") continue;
    if (message->is_string()) last = message->get<std::string>();
  }
  return last;
}

std::chrono::milliseconds runc_deadline() {
  constexpr std::chrono::milliseconds kDefault{120000};
  const std::string text = env_or("MOAT_RUNC_TIMEOUT_MS", "");
  const long value = std::strtol(text.c_str(), nullptr, 10);
  return value > 0 ? std::chrono::milliseconds{value} : kDefault;
}

void run_runc(Loop& loop, RuncCall call, std::function<void(Status)> done) {
  const off_t log_offset = size_of(call.log);
  Command command;
  command.argv = call.argv;
  command.fds = call.fds;
  command.cwd = call.cwd;
  command.spawned = std::move(call.spawned);
  std::string input = std::move(call.input);
  run(loop, std::move(command), std::move(input), call.deadline,
      [call = std::move(call), log_offset, done = std::move(done)](Result<RunResult> result) {
        if (result) return done(judge(*result, call, log_offset));
        const Error& error = result.error();
        if (error.err == ENOENT)
          return done(fail(Code::Unknown, "cannot start \"" + call.argv[0] +
                                              "\": executable file not found in $PATH; install "
                                              "it or name another in the option BinaryName"));
        done(fail(error));
      });
}

}  // namespace moat::oci
