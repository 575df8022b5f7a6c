#include "oci/spec.h"

#include <algorithm>

#include "oci/spec_check.h"

namespace moat::oci {
namespace {

using Json = nlohmann::json;

// Walks over the text once before it is parsed: says where it stops being JSON, and refuses what
// the parser would take but not give back as it came.
class Scan : public nlohmann::json_sax<Json> {
 public:
  static constexpr std::size_t kMaxDepth = 200;  // dump() recurses; real files nest eight deep

  [[nodiscard]] const std::string& problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t& text) override {
    // An integer beyond 64 bits arrives here, and a double would change it.
    if (text.find_first_of(".eE") != string_t::npos) return true;
    problem_ = "the number " + text + " does not fit into 64 bits";
    return false;
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool key(string_t&) override { return true; }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string_view what = error.what();
    if (const std::size_t tag = what.find("] "); tag != std::string_view::npos)
      what.remove_prefix(tag + 2);
    problem_ = "byte " + std::to_string(position) + ": " + std::string(what.substr(0, 300));
    return false;
  }

 private:
  bool enter() {
    if (++depth_ <= kMaxDepth) return true;
    problem_ = "nested deeper than " + std::to_string(kMaxDepth) + " levels";
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }
  std::string problem_;
  std::size_t depth_ = 0;
};

const Json& at(const Json& object, const char* key) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto member = object.find(key);
  return member == object.end() ? kNothing : *member;
}

// The types were checked at parse; only null and absence are left.
std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : "";
}

std::vector<std::string> texts(const Json& value) {
  std::vector<std::string> all;
  for (const Json& element : value) all.push_back(text(element));
  return all;
}

std::uint32_t number(const Json& value) {
  return value.is_number_unsigned() ? value.get<std::uint32_t>() : 0;
}

std::uint32_t mapped(const Json& mappings, std::uint32_t id) {
  for (const Json& map : mappings) {
    const std::uint32_t first = number(at(map, "containerID")), size = number(at(map, "size"));
    if (id >= first && id - first < size) return number(at(map, "hostID")) + (id - first);
  }
  return id;
}

}  // namespace

Result<Spec> Spec::parse(std::string_view config) {
  Scan scan;
  if (!Json::sax_parse(config, &scan))
    return fail(Code::InvalidArgument, "config.json: " + scan.problem());
  Json parsed = Json::parse(config, nullptr, false);
  if (parsed.is_discarded()) return fail(Code::InvalidArgument, "config.json: not JSON");
  if (auto status = check_spec(parsed); !status)
    return fail(std::move(status.error()).in("config.json"));
  return Spec(std::move(parsed));
}

// A parsed text is valid UTF-8; what a caller put in wrongly becomes U+FFFD instead of an
// exception.
std::string Spec::dump() const {
  return json_.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::map<std::string, std::string> Spec::annotations() const {
  std::map<std::string, std::string> all;
  for (const auto& [key, value] : at(json_, "annotations").items()) all[key] = text(value);
  return all;
}

std::vector<SpecMount> Spec::mounts() const {
  std::vector<SpecMount> all;
  for (const Json& mount : at(json_, "mounts"))
    all.push_back({text(at(mount, "destination")), text(at(mount, "type")),
                   text(at(mount, "source")), texts(at(mount, "options"))});
  return all;
}

std::string Spec::root_path() const {
  std::string path = text(at(at(json_, "root"), "path"));
  return path.empty() ? "rootfs" : path;
}

bool Spec::root_readonly() const {
  return at(at(json_, "root"), "readonly") == Json(true);
}

std::string Spec::cwd() const {
  std::string path = text(at(at(json_, "process"), "cwd"));
  return path.empty() ? "/" : path;
}

std::vector<std::string> Spec::args() const {
  return texts(at(at(json_, "process"), "args"));
}
std::vector<std::string> Spec::env() const {
  return texts(at(at(json_, "process"), "env"));
}

// The runtime sets the variables one after the other: the last one stays.
std::optional<std::string> Spec::env(std::string_view name) const {
  std::optional<std::string> found;
  for (const std::string& entry : env())
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      found = entry.substr(name.size() + 1);
  return found;
}

std::uint32_t Spec::uid() const {
  return number(at(at(at(json_, "process"), "user"), "uid"));
}
std::uint32_t Spec::gid() const {
  return number(at(at(at(json_, "process"), "user"), "gid"));
}

std::uint32_t Spec::host_uid() const {
  return mapped(at(at(json_, "linux"), "uidMappings"), uid());
}
std::uint32_t Spec::host_gid() const {
  return mapped(at(at(json_, "linux"), "gidMappings"), gid());
}

std::string Spec::cgroups_path() const {
  return text(at(at(json_, "linux"), "cgroupsPath"));
}

bool Spec::private_pid_namespace() const {
  const Json& namespaces = at(at(json_, "linux"), "namespaces");
  return std::ranges::any_of(namespaces, [](const Json& ns) {
    return text(at(ns, "type")) == "pid" && text(at(ns, "path")).empty();
  });
}

}  // namespace moat::oci
