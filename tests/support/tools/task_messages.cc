#include "tests/support/tools/task_messages.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "oci/sys.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/proto/task.pb.h"

namespace moat::tests {

namespace {

namespace task = containerd::task;

constexpr const char* kProcess = "types.containerd.io/opencontainers/runtime-spec/1/Process";
constexpr const char* kResources =
    "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

std::string text(const Fields& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() ? std::string() : found->second;
}

std::uint32_t number(const Fields& fields, const char* key) {
  return static_cast<std::uint32_t>(std::strtoul(text(fields, key).c_str(), nullptr, 10));
}

// "TYPE|SOURCE|OPTION,OPTION"
void add_mount(task::CreateTaskRequest& request, std::string_view mount) {
  const auto take = [&mount](char end) {
    const std::string_view part = mount.substr(0, mount.find(end));
    mount.remove_prefix(std::min(mount.size(), part.size() + 1));
    return std::string(part);
  };
  auto& added = *request.add_rootfs();
  added.set_type(take('|'));
  added.set_source(take('|'));
  while (!mount.empty()) added.add_options(take(','));
}

void set_options(task::CreateTaskRequest& request, const Fields& fields) {
  if (!fields.contains("runtime")) return;
  containerd::runc::v1::Options options;
  options.set_binary_name(text(fields, "runtime"));
  request.mutable_options()->set_type_url("containerd.runc.v1.Options");
  request.mutable_options()->set_value(options.SerializeAsString());
}

// A checkpointed process runs on unless it is told not to.
void end_it(task::CheckpointTaskRequest& request, const Fields& fields) {
  if (!fields.contains("exit")) return;
  containerd::runc::v1::CheckpointOptions options;
  options.set_exit(true);
  request.mutable_options()->set_type_url("containerd.runc.v1.CheckpointOptions");
  request.mutable_options()->set_value(options.SerializeAsString());
}

template <class Request>
std::string encode(const Fields& fields) {
  Request request;
  if constexpr (requires { request.set_id(""); }) request.set_id(text(fields, "id"));
  if constexpr (requires { request.set_exec_id(""); }) request.set_exec_id(text(fields, "exec"));
  if constexpr (requires { request.set_bundle(""); }) {
    request.set_bundle(text(fields, "bundle"));
    if (fields.contains("rootfs")) add_mount(request, text(fields, "rootfs"));
    set_options(request, fields);
    request.set_checkpoint(text(fields, "checkpoint"));
  }
  if constexpr (requires { request.set_stdout(""); }) {
    request.set_stdin(text(fields, "stdin"));
    request.set_stdout(text(fields, "stdout"));
    request.set_stderr(text(fields, "stderr"));
    request.set_terminal(number(fields, "terminal") != 0);
  } else if constexpr (requires { request.set_stdin(true); }) {
    request.set_stdin(true);
  }
  if constexpr (requires { request.set_signal(9); }) {
    request.set_signal(number(fields, "signal"));
    request.set_all(number(fields, "all") != 0);
  }
  if constexpr (requires { request.set_width(1); }) {
    request.set_width(number(fields, "width"));
    request.set_height(number(fields, "height"));
  }
  if constexpr (requires { request.mutable_spec(); }) {
    request.mutable_spec()->set_type_url(kProcess);
    request.mutable_spec()->set_value(text(fields, "spec"));
  }
  if constexpr (requires { request.mutable_resources(); }) {
    request.mutable_resources()->set_type_url(kResources);
    request.mutable_resources()->set_value(text(fields, "resources"));
  }
  if constexpr (requires { request.set_path(""); }) {
    request.set_path(text(fields, "path"));
    end_it(request, fields);
  }
  return request.SerializeAsString();
}

void say(std::string& out, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  out += std::string(out.empty() ? "" : " ") + std::string(name) + "=" + value;
}

void say(std::string& out, std::string_view name, std::uint32_t value) {
  if (value != 0) say(out, name, std::to_string(value));
}

// Go's zero time is not the absence of one.
std::string when(const moat::wire::Timestamp& time) {
  if (time.seconds() == -62135596800) return "zero";
  return std::to_string(time.seconds()) + "." + std::to_string(time.nanos());
}

// In an order that does not depend on the numbers: init's own processes, then the execs by name.
std::string pids_of(const task::PidsResponse& response) {
  std::vector<std::pair<std::string, std::string>> pids;
  for (const auto& process : response.processes()) {
    containerd::runc::v1::ProcessDetails details;
    std::string entry;
    say(entry, "pid", process.pid());
    if (process.has_info()) {
      details.ParseFromString(process.info().value());
      entry += " info=" + process.info().type_url() + ":" + details.exec_id();
    }
    pids.emplace_back(details.exec_id(), std::move(entry));
  }
  std::ranges::sort(pids);
  std::string out;
  for (const auto& [exec_id, entry] : pids) out += (out.empty() ? "" : " ") + entry;
  return out;
}

template <class Response>
std::string describe(const std::string& payload) {
  Response response;
  if (!response.ParseFromString(payload)) return "(not the method's message)";
  std::string out;
  if constexpr (requires { response.id(); }) say(out, "id", response.id());
  if constexpr (requires { response.bundle(); }) say(out, "bundle", response.bundle());
  if constexpr (requires { response.shim_pid(); }) {
    say(out, "shim", response.shim_pid() != 0 ? "some" : "");
    say(out, "pid", response.task_pid());
    say(out, "version", response.version());
  }
  if constexpr (requires { response.pid(); }) say(out, "pid", response.pid());
  if constexpr (requires { response.status(); })
    say(out, "status", static_cast<std::uint32_t>(response.status()));
  if constexpr (requires { response.stdout(); }) {
    say(out, "stdin", response.stdin());
    say(out, "stdout", response.stdout());
    say(out, "stderr", response.stderr());
    say(out, "terminal", response.terminal() ? "yes" : "");
    say(out, "exec_id", response.exec_id());
  }
  if constexpr (requires { response.exit_status(); }) say(out, "exit", response.exit_status());
  if constexpr (requires { response.exited_at(); })
    if (response.has_exited_at()) say(out, "at", when(response.exited_at()));
  if constexpr (requires { response.processes(); }) out += pids_of(response);
  if constexpr (requires { response.stats(); }) say(out, "stats", response.stats().type_url());
  return out;
}

// Nothing, or an unexpected something.
std::string describe_empty(const std::string& payload) {
  return payload.empty() ? "" : "(" + std::to_string(payload.size()) + " bytes)";
}

struct Method {
  std::string_view name;
  std::string (*encode)(const Fields& fields);
  std::string (*describe)(const std::string& payload);
};
constexpr std::array kMethods{
    Method{"Create", encode<task::CreateTaskRequest>, describe<task::CreateTaskResponse>},
    Method{"Start", encode<task::StartRequest>, describe<task::StartResponse>},
    Method{"Delete", encode<task::DeleteRequest>, describe<task::DeleteResponse>},
    Method{"Exec", encode<task::ExecProcessRequest>, describe_empty},
    Method{"State", encode<task::StateRequest>, describe<task::StateResponse>},
    Method{"Wait", encode<task::WaitRequest>, describe<task::WaitResponse>},
    Method{"Kill", encode<task::KillRequest>, describe_empty},
    Method{"CloseIO", encode<task::CloseIORequest>, describe_empty},
    Method{"ResizePty", encode<task::ResizePtyRequest>, describe_empty},
    Method{"Pids", encode<task::PidsRequest>, describe<task::PidsResponse>},
    Method{"Pause", encode<task::PauseRequest>, describe_empty},
    Method{"Resume", encode<task::ResumeRequest>, describe_empty},
    Method{"Update", encode<task::UpdateTaskRequest>, describe_empty},
    Method{"Stats", encode<task::StatsRequest>, describe<task::StatsResponse>},
    Method{"Checkpoint", encode<task::CheckpointTaskRequest>, describe_empty},
    Method{"Connect", encode<task::ConnectRequest>, describe<task::ConnectResponse>},
    Method{"Shutdown", encode<task::ShutdownRequest>, describe_empty},
};

const Method* find(const std::string& name) {
  const auto* found = std::ranges::find(kMethods, name, &Method::name);
  return found == kMethods.end() ? nullptr : found;
}

}  // namespace

Result<std::string> encode_task_request(const std::string& method, Fields fields) {
  for (auto& [key, value] : fields) {
    if (!value.starts_with('@')) continue;
    auto content = oci::read_file(value.substr(1));
    if (!content) return fail(std::move(content.error()));
    value = std::move(*content);
  }
  const Method* found = find(method);
  return found == nullptr ? std::string() : found->encode(fields);
}

std::string describe_task_response(const std::string& method, const std::string& payload) {
  const Method* found = find(method);
  return found == nullptr ? describe_empty(payload) : found->describe(payload);
}

}  // namespace moat::tests
