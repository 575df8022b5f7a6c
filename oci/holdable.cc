#include "oci/holdable.h"

#include <sys/stat.h>

#include <optional>

namespace moat::oci {
namespace {

using Json = nlohmann::json;

const Json* member(const Json& json, std::string_view pointer) {
  const Json::json_pointer at{std::string(pointer)};
  return json.contains(at) ? &json[at] : nullptr;
}

std::string text_of(const Json& object, const char* key, const char* otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

// The path of a namespace, "" for a new one; nothing when the container stays in the node's.
std::optional<std::string> path_of(const Spec& spec, std::string_view type) {
  const Json* all = member(spec.json(), "/linux/namespaces");
  if (all == nullptr || !all->is_array()) return std::nullopt;
  for (const Json& one : *all)
    if (one.is_object() && text_of(one, "type", "") == type) return text_of(one, "path", "");
  return std::nullopt;
}

// Where the path leads to the namespace that we are in ourselves.
bool is_ours(const std::string& path, const char* own) {
  struct stat theirs {};
  struct stat ours {};
  return !path.empty() && ::stat(path.c_str(), &theirs) == 0 && ::stat(own, &ours) == 0 &&
         theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

bool is_any(const Json& rule, const char* key) {
  const auto number = rule.find(key);
  return number == rule.end() || number->is_null() || *number == -1;
}

// What a privileged container has: the disks of the node among them.
bool may_write_any_device(const Spec& spec) {
  const Json* rules = member(spec.json(), "/linux/resources/devices");
  if (rules == nullptr || !rules->is_array()) return false;
  bool open = false;
  for (const Json& rule : *rules) {
    if (!rule.is_object() || !is_any(rule, "major") || !is_any(rule, "minor")) continue;
    const std::string type = text_of(rule, "type", "a");
    if (type != "a" && type != "b" && !type.empty()) continue;
    if (text_of(rule, "access", "rwm").find('w') == std::string::npos) continue;
    const auto allow = rule.find("allow");
    open = allow != rule.end() && allow->is_boolean() && allow->get<bool>();
  }
  return open;
}

}  // namespace

Status check_holdable(const Spec& spec) {
  const auto refuse = [](const std::string& why) {
    return fail(Code::FailedPrecondition,
                why +
                    ": mode enforce cannot hold such a container; take it out of the pod, or set "
                    "moat.dev/mode: audit");
  };
  const auto pids = path_of(spec, "pid");
  if (!pids || is_ours(*pids, "/proc/self/ns/pid"))
    return refuse("the container is among the node's processes (hostPID)");
  const auto mounts = path_of(spec, "mount");
  if (!mounts || is_ours(*mounts, "/proc/self/ns/mnt"))
    return refuse("the container has no mount namespace of its own");
  if (may_write_any_device(spec))
    return refuse("the container may use every device of the node (privileged)");
  return {};
}

std::vector<std::string> loosely_held(const Spec& spec) {
  std::vector<std::string> notes;
  if (!path_of(spec, "pid").value_or("").empty())
    notes.emplace_back(
        "the container shares its processes with others of the pod: what it reaches of their files "
        "through /proc is not held");
  return notes;
}

}  // namespace moat::oci
