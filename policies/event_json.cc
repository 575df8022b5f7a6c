// One event as one line of JSON, schema moat.dev/event/v1. Every text passes quote(); the limits
// below add up to less than 16 KiB whatever a workload puts into its names (a test fills them all).
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

#include "policies/event.h"
#include "policies/event_stamp.h"
#include "policies/numbers.h"
#include "policies/quote.h"

namespace moat::policies {
namespace {

constexpr std::size_t kMaxWord = 160;     // our own words, ids, names of Kubernetes objects
constexpr std::size_t kMaxName = 300;     // names of pods (253) and images
constexpr std::size_t kMaxPath = 768;     // programs and folders of processes
constexpr std::size_t kMaxObject = 4200;  // PATH_MAX: the object is what the event is about
constexpr std::size_t kMaxMessage = 512;
constexpr std::size_t kMaxArgv = 16;
constexpr std::size_t kMaxArgvBytes = 2048;  // of all arguments together
constexpr std::size_t kMaxCounts = 24;

class Line {
 public:
  Line() { writer_.StartObject(); }

  void open(std::string_view key) {
    name(key);
    writer_.StartObject();
  }
  void close() { writer_.EndObject(); }
  void text(std::string_view key, std::string_view value, std::size_t limit = kMaxWord) {
    name(key);
    item(value, limit);
  }
  void text_if(std::string_view key, std::string_view value, std::size_t limit = kMaxWord) {
    if (!value.empty()) text(key, value, limit);
  }
  void number(std::string_view key, std::int64_t value) {
    name(key);
    writer_.Int64(value);
  }
  void flag(std::string_view key, bool value) {
    name(key);
    writer_.Bool(value);
  }
  void argv(const std::vector<std::string>& arguments);
  std::string finish() && {
    if (truncated_) flag("truncated", true);
    writer_.EndObject();
    return {buffer_.GetString(), buffer_.GetSize()};
  }

 private:
  void name(std::string_view key) {  // ours, or an identifier of our counters
    writer_.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  }
  Quoted item(std::string_view value, std::size_t limit) {
    Quoted quoted = quote(value, limit);
    writer_.RawValue(quoted.json.data(), quoted.json.size(), rapidjson::kStringType);
    truncated_ = truncated_ || quoted.truncated;
    return quoted;
  }

  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
  bool truncated_ = false;
};

void Line::argv(const std::vector<std::string>& arguments) {
  constexpr std::size_t kLeast = 16;  // not worth showing less of an argument
  bool cut = false;
  std::size_t room = kMaxArgvBytes, shown = 0;
  name("argv");
  writer_.StartArray();
  for (const std::string& argument : arguments) {
    if (shown == kMaxArgv || room < kLeast) break;
    const Quoted quoted = item(argument, std::min(room, kMaxArgvBytes / 2));
    cut = cut || quoted.truncated;
    room -= quoted.json.size();
    ++shown;
  }
  writer_.EndArray();
  cut = cut || shown < arguments.size();
  flag("argv_truncated", cut);
  truncated_ = truncated_ || cut;
}

std::string_view object_key(ObjectType type) {
  switch (type) {
    case ObjectType::File:
    case ObjectType::Device:
    case ObjectType::Exec:
      return "path";
    case ObjectType::Address:
      return "address";
    case ObjectType::None:
    case ObjectType::Socket:
    case ObjectType::Process:
    case ObjectType::System:
      return "name";
  }
  return "name";
}

void add_phase(Line& line, const PhaseInfo& phase) {
  line.open("phase");
  line.text("name", to_string(phase.name));
  line.number("since_ms", phase.since_ms);
  if (phase.prev) {
    line.text("prev", to_string(*phase.prev));
    line.number("prev_duration_ms", phase.prev_duration_ms);
  }
  line.number("generation", phase.generation);
  line.close();
}

void add_object(Line& line, const Event& event) {
  const bool argv = event.process && !event.process->argv.empty();
  if (event.object.type == ObjectType::None && !argv) return;
  line.open("object");
  line.text("type", to_string(event.object.type));
  line.text(object_key(event.object.type), event.object.name, kMaxObject);
  line.flag("claimed", event.claimed);
  if (argv) line.argv(event.process->argv);
  line.close();
}

void add_process(Line& line, const ProcessInfo& process) {
  line.open("process");
  if (process.pid != 0) line.number("pid", process.pid);
  if (process.host_pid != 0) line.number("host_pid", process.host_pid);
  if (process.tid != 0) line.number("tid", process.tid);
  line.text_if("exe", process.exe, kMaxPath);
  line.text_if("comm", process.comm);
  line.text_if("cwd", process.cwd, kMaxPath);
  line.number("uid", process.uid);
  if (process.parent_host_pid != 0 || !process.parent_exe.empty()) {
    line.open("parent");
    if (process.parent_host_pid != 0) line.number("host_pid", process.parent_host_pid);
    line.text_if("exe", process.parent_exe, kMaxPath);
    line.close();
  }
  line.close();
}

void add_what(Line& line, const Event& event) {
  line.text("kind", to_string(event.kind));
  line.text("severity", event.severity);
  line.text_if("action", event.action);
  line.text("mode", to_string(event.mode));
  if (event.err != 0) line.text("errno", errno_name(event.err));
  add_phase(line, event.phase);
  if (!event.rule.empty()) {
    line.open("rule");
    line.text("id", event.rule);
    line.close();
  }
  line.open("policy");
  line.text("name", event.policy_name, kMaxName);
  line.text_if("digest", event.policy_digest);
  line.text_if("source", event.policy_source, kMaxName);
  line.close();
  if (event.syscall.empty()) return;
  line.open("syscall");
  line.text("name", event.syscall);
  line.close();
}

void add_where(Line& line, const ContainerInfo& container) {
  if (!container.kube_namespace.empty() || !container.pod.empty()) {
    line.open("k8s");
    line.text_if("namespace", container.kube_namespace);
    line.text_if("pod", container.pod, kMaxName);
    line.text_if("pod_uid", container.pod_uid);
    line.text_if("container", container.name);
    line.text_if("node", container.node, kMaxName);
    line.close();
  }
  line.open("container");
  line.text("id", container.id);
  line.text_if("image", container.image, kMaxName);
  line.text_if("runtime_handler", container.runtime_handler);
  line.close();
  line.open("runtime");
  line.text("version", MOAT_VERSION);
  line.close();
}

void add_counts(Line& line, const std::map<std::string, std::int64_t>& numbers) {
  if (numbers.empty()) return;
  line.open("counts");
  std::size_t left = kMaxCounts;
  for (const auto& [key, value] : numbers) {
    if (left-- == 0) break;
    line.number(std::string_view(key).substr(0, kMaxWord), value);
  }
  line.close();
}

}  // namespace

std::string to_json_line(const Event& event, const Stamp& stamp) {
  Line line;
  line.text("schema", "moat.dev/event/v1");
  line.text("id", event_id(event.container.id, stamp));
  line.text("time", event_time(stamp));
  line.number("seq", static_cast<std::int64_t>(stamp.seq));
  add_what(line, event);
  add_object(line, event);
  if (event.process) add_process(line, *event.process);
  const bool session = !event.exec_id.empty();
  line.text("origin", session ? "exec-session" : "container");
  if (session) line.text("exec_id", event.exec_id);
  add_where(line, event.container);
  line.text_if("message", event.message, kMaxMessage);
  add_counts(line, event.numbers);
  return std::move(line).finish();
}

}  // namespace moat::policies
