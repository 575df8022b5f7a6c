#include "tests/bench/pod.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "oci/sys.h"
#include "shim/proto/task.pb.h"

namespace moat::bench {

namespace task = containerd::task;

namespace {

constexpr int kShimEnds = 5000;      // milliseconds after Shutdown
constexpr int kAnswerTakes = 60000;  // of a program in a container

// The id, for remove_shim_files of the shell: stock leaves its socket if it is killed.
Status note_id(const World& world, const std::string& id) {
  auto file = oci::open_file(world.dir + "/ids", O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (!file) return fail(std::move(file.error()));
  return oci::write_all(file->raw(), id + "\n");
}

Status write_config(const World& world, const Flavour& flavour, const std::string& id,
                    const std::vector<std::string>& arguments) {
  auto spec = world.spec;
  spec["process"]["args"] = arguments;
  spec["linux"]["cgroupsPath"] = "/" + world.ns + "/" + id;
  if (!flavour.mode.empty()) spec["annotations"]["moat.dev/mode"] = flavour.mode;
  return oci::write_file_atomic(world.dir + "/b/" + id + "/config.json", spec.dump(), 0600);
}

}  // namespace

Result<std::string> output_of(oci::Command command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  command.fds = {{theirs.raw(), 1}, {theirs.raw(), 2}};
  auto child = oci::spawn(command);
  if (!child) return fail(std::move(child.error()));
  theirs.reset();
  auto output = oci::read_all(ours.raw());
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(child->pid), &info, WEXITED) != 0)
    return fail_errno(errno, "waitid");
  if (!output) return output;
  if (info.si_code != CLD_EXITED || info.si_status != 0)
    return fail(Code::Unknown, command.argv[0] + " failed: " + *output);
  return output;
}

Result<std::string> read_line(int fd) {
  std::string line;
  pollfd readable{fd, POLLIN, 0};
  for (char byte = 0; ::poll(&readable, 1, kAnswerTakes) == 1; line += byte) {
    if (::read(fd, &byte, 1) != 1) return fail_errno(errno, "reading an answer");
    if (byte == '\n') return line;
  }
  return fail(Code::DeadlineExceeded, "no answer after: " + line);
}

std::string new_id(const World& world) {
  static std::atomic<int> last;
  std::string id = "b" + std::to_string(++last);
  (void)note_id(world, id);
  return id;
}

Result<std::unique_ptr<Pod>> Pod::make(const World& world, const Flavour& flavour,
                                       std::vector<std::string> arguments) {
  std::unique_ptr<Pod> pod(new Pod(world, flavour));
  pod->id_ = new_id(world);
  pod->bundle_ = world.dir + "/b/" + pod->id_;
  auto made = oci::make_dirs(pod->bundle_, 0700);
  if (made) made = write_config(world, flavour, pod->id_, arguments);
  if (!made) return fail(std::move(made.error()));
  const std::string log = pod->bundle_ + "/log";
  if (::mkfifo(log.c_str(), 0700) != 0) return fail_errno(errno, log);
  auto reader = oci::open_file(log, O_RDWR | O_NONBLOCK);
  if (!reader) return fail(std::move(reader.error()));
  pod->log_ = std::move(*reader);
  return pod;
}

Pod::~Pod() {
  if (client_) {
    (void)kill(SIGKILL);
    (void)call("Wait");
    (void)call("Delete");
  }
  (void)shut_down();
  (void)oci::remove_tree(bundle_);
}

oci::Command Pod::action(const char* name) const {
  oci::Command command;
  command.argv = {flavour_.program,  "-namespace", world_.ns, "-address", world_.dir + "/c",
                  "-publish-binary", "/bin/true",  "-id",     id_,        "-bundle",
                  bundle_,           name};
  command.cwd = bundle_;
  return command;
}

Status Pod::start_shim() {
  auto reply = output_of(action("start"));
  if (!reply) return fail(std::move(reply.error()));
  const std::size_t begin = reply->find("unix://");
  if (begin == std::string::npos) return fail(Code::Unknown, "start replied " + *reply);
  const std::size_t end = reply->find_first_of("\"\n", begin);  // plain text, or inside JSON
  socket_ = reply->substr(begin + 7, end == std::string::npos ? end : end - begin - 7);
  return {};
}

Status Pod::connect() {
  auto client = shim::ttrpc::BlockingClient::connect(socket_);
  if (!client) return fail(std::move(client.error()));
  client_ = std::make_unique<shim::ttrpc::BlockingClient>(std::move(*client));
  return {};
}

Status Pod::delete_shim() {
  auto output = output_of(action("delete"));
  if (!output) return fail(std::move(output.error()));
  return {};
}

Status Pod::shut_down() {
  if (socket_.empty()) return {};
  if (!client_)
    if (auto connected = connect(); !connected) return connected;
  const auto pid = shim_pid();
  auto pidfd = pid ? oci::pidfd_open(*pid) : fail(Error(pid.error()));
  (void)call("Shutdown");
  client_.reset();
  socket_.clear();
  if (!pidfd) return fail(std::move(pidfd.error()));
  pollfd ended{pidfd->raw(), POLLIN, 0};
  if (::poll(&ended, 1, kShimEnds) == 1) return {};
  (void)oci::pidfd_signal(pidfd->raw(), SIGKILL);
  return fail(Code::DeadlineExceeded, "the shim did not end after Shutdown");
}

Result<std::string> Pod::rpc(const char* method, std::string payload) {
  if (!client_) return fail(Code::Unavailable, "the shim is not connected");
  shim::ttrpc::Outgoing outgoing;
  outgoing.service = flavour_.service;
  outgoing.method = method;
  outgoing.payload = std::move(payload);
  auto answer = client_->call(outgoing);
  if (!answer) return fail(std::move(answer.error()).in(method));
  return answer;
}

Status Pod::call(const char* method, const std::string& exec) {
  task::StateRequest request;  // the fields 1 and 2 of all of them
  request.set_id(id_);
  request.set_exec_id(exec);
  auto answer = rpc(method, request.SerializeAsString());
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Status Pod::open_streams() {
  for (auto& [name, fd] : {std::pair<const char*, UniqueFd&>{"/in", input_}, {"/out", output_}}) {
    const std::string path = bundle_ + name;
    if (::mkfifo(path.c_str(), 0700) != 0) return fail_errno(errno, path);
    auto opened = oci::open_file(path, O_RDWR);
    if (!opened) return fail(std::move(opened.error()));
    fd = std::move(*opened);
  }
  return {};
}

Result<std::string> Pod::order(const std::string& line) {
  if (auto written = oci::write_all(input_.raw(), line + "\n"); !written)
    return fail(std::move(written.error()));
  return read_line(output_.raw());
}

Status Pod::create() {
  task::CreateTaskRequest request;
  request.set_id(id_);
  request.set_bundle(bundle_);
  if (input_.valid()) {
    request.set_stdin(bundle_ + "/in");
    request.set_stdout(bundle_ + "/out");
    request.set_stderr(bundle_ + "/log");
  }
  auto answer = rpc("Create", request.SerializeAsString());
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Status Pod::kill(int signal) {
  task::KillRequest request;
  request.set_id(id_);
  request.set_signal(static_cast<std::uint32_t>(signal));
  auto answer = rpc("Kill", request.SerializeAsString());
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Status Pod::exec(const std::vector<std::string>& arguments) {
  const std::string exec_id = "e" + std::to_string(++execs_);
  auto process = world_.spec["process"];
  process["args"] = arguments;
  task::ExecProcessRequest request;
  request.set_id(id_);
  request.set_exec_id(exec_id);
  request.mutable_spec()->set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Process");
  request.mutable_spec()->set_value(process.dump());
  auto added = rpc("Exec", request.SerializeAsString());
  if (!added) return fail(std::move(added.error()));
  for (const char* method : {"Start", "Wait", "Delete"})
    if (auto done = call(method, exec_id); !done) return done;
  return {};
}

Result<pid_t> Pod::shim_pid() {
  task::ConnectRequest request;
  request.set_id(id_);
  auto answer = rpc("Connect", request.SerializeAsString());
  if (!answer) return fail(std::move(answer.error()));
  task::ConnectResponse response;
  if (!response.ParseFromString(*answer)) return fail(Code::Internal, "Connect: not its message");
  return static_cast<pid_t>(response.shim_pid());
}

Result<std::unique_ptr<Pod>> running_pod(const World& world, const Flavour& flavour,
                                         std::vector<std::string> arguments) {
  auto pod = Pod::make(world, flavour, std::move(arguments));
  if (!pod) return pod;
  auto done = (*pod)->start_shim();
  if (done) done = (*pod)->connect();
  if (done) done = (*pod)->create();
  if (done) done = (*pod)->call("Start");
  if (!done) return fail(std::move(done.error()));
  return pod;
}

}  // namespace moat::bench
