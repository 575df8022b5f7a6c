#include "shim/ctl/shims.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "oci/sys.h"

namespace moat::shim::ctl {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxShimFile = 4096;  // four short values
constexpr std::string_view kScheme = "unix://";

const json* text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? &*found : nullptr;
}

bool is_running(pid_t pid) {
  return ::kill(pid, 0) == 0 || errno == EPERM;
}

}  // namespace

Result<Shim> parse_shim(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return fail(Code::InvalidArgument, "not a JSON object");
  const auto pid = object.find("pid");
  if (pid == object.end() || !pid->is_number_integer() || *pid <= 0 || *pid > 1 << 22)
    return fail(Code::InvalidArgument, "'pid' is missing or not a process number");
  const json* names[] = {text_of(object, "namespace"), text_of(object, "id"),
                         text_of(object, "socket")};
  if (std::ranges::find(names, nullptr) != std::end(names))
    return fail(Code::InvalidArgument, "'namespace', 'id' or 'socket' is missing or not a text");
  Shim shim{pid->get<pid_t>(), *names[0], *names[1], *names[2]};
  if (shim.socket.starts_with(kScheme)) shim.socket.erase(0, kScheme.size());
  if (!shim.socket.starts_with('/')) return fail(Code::InvalidArgument, "'socket' is not a path");
  return shim;
}

Result<Shims> list_shims(const std::string& state_dir) {
  const std::string folder = state_dir + "/shims";
  Shims shims;
  std::error_code problem;
  std::filesystem::directory_iterator entry(folder, problem);
  if (problem == std::errc::no_such_file_or_directory) return shims;
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string path = entry->path().string();
    if (!path.ends_with(".json")) continue;
    const auto text = oci::read_file(path, kMaxShimFile);
    if (!text && text.error().code == Code::NotFound) continue;  // it ended just now
    auto shim = text.and_then([](const std::string& json) { return parse_shim(json); });
    if (!shim)
      shims.problems.push_back(std::move(shim.error()).in(text ? path : "shim").what);
    else if (is_running(shim->pid))
      shims.running.push_back(std::move(*shim));
  }
  if (problem) return fail_errno(problem.value(), folder);
  std::ranges::sort(shims.running, {}, &Shim::pid);
  return shims;
}

}  // namespace moat::shim::ctl
