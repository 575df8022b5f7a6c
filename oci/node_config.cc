#include "oci/node_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <set>

#include "oci/annotation_values.h"
#include "oci/container_path.h"
#include "oci/sys.h"
#include "policies/nearest.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

constexpr const char* kDefaultFile = "/etc/moat/moat.yaml";
constexpr std::size_t kMaxFile = 64U << 10;  // a screenful in practice

// Stores what `Parse` makes of the value in `Slot`.
template <auto Parse, auto Slot>
Status set(NodeConfig& to, const std::string& value) {
  auto parsed = Parse(value);
  if (!parsed) return fail(std::move(parsed.error()));
  to.*Slot = std::move(*parsed);
  return {};
}

Result<std::string> file_path(std::string_view value) {
  auto path = clean_path(value);
  if (!path)
    return fail(Code::InvalidArgument, "'" + policies::printable(value) + "' " + path.error().what);
  return path;
}

// A program's name, looked up in $PATH, or its whole path: relative to what would be anyone's
// guess.
Result<std::string> program(std::string_view value) {
  if (value.find('/') != std::string_view::npos) return file_path(value);
  auto valid = check_value(value);
  if (!valid) return fail(std::move(valid.error()));
  return std::string(value);
}

Result<std::optional<bool>> automatic(std::string_view value) {
  if (value == "auto") return std::optional<bool>();
  if (value == "true" || value == "false") return std::optional<bool>(value == "true");
  return fail(Code::InvalidArgument,
              "'" + policies::printable(value) + "' is not one of auto, true, false");
}

Result<FailurePolicy> failure_policy(std::string_view value) {
  static constexpr std::array<std::string_view, 3> kWords{"closed", "pod", "open"};
  const auto at = std::ranges::find(kWords, value) - kWords.begin();
  if (at < static_cast<std::ptrdiff_t>(kWords.size())) return static_cast<FailurePolicy>(at);
  return fail(Code::InvalidArgument, policies::not_one_of(value, kWords));
}

struct Key {
  std::string_view name;
  Status (*set)(NodeConfig& to, const std::string& value);
};
constexpr std::array kKeys{
    Key{"mode", set<value_mode, &NodeConfig::mode>},
    Key{"profile", set<value_profile, &NodeConfig::profile>},
    Key{"logDir", set<file_path, &NodeConfig::log_dir>},
    Key{"stateDir", set<file_path, &NodeConfig::state_dir>},
    Key{"policyDir", set<file_path, &NodeConfig::policy_dir>},
    Key{"floor", set<file_path, &NodeConfig::floor>},
    Key{"runtime", set<program, &NodeConfig::runtime>},
    Key{"runtimeRoot", set<file_path, &NodeConfig::runtime_root>},
    Key{"hook", set<file_path, &NodeConfig::hook>},
    Key{"failurePolicy", set<failure_policy, &NodeConfig::failure_policy>},
    Key{"systemdCgroup", set<automatic, &NodeConfig::systemd_cgroup>},
};

std::string at_line(std::string_view source, const YAML::Mark& mark) {
  return std::string(source) + (mark.is_null() ? "" : ":" + std::to_string(mark.line + 1));
}

Status set_key(NodeConfig& to, const YAML::Node& key, const YAML::Node& value,
               std::set<std::string>& seen) {
  if (!key.IsScalar()) return fail(Code::InvalidArgument, "a key must be a word");
  const std::string& name = key.Scalar();
  const auto known = std::ranges::find(kKeys, name, &Key::name);
  if (known == kKeys.end()) {
    std::array<std::string_view, kKeys.size()> names{};
    std::ranges::transform(kKeys, names.begin(), &Key::name);
    return fail(Code::InvalidArgument,
                "unknown key '" + policies::printable(name) + "'" + policies::suggest(name, names));
  }
  if (!seen.insert(name).second) return fail(Code::InvalidArgument, name + " is given twice");
  if (!value.IsScalar()) return fail(Code::InvalidArgument, name + ": expected one value");
  auto status = known->set(to, value.Scalar());
  if (!status) return fail(std::move(status.error()).in(name));
  return {};
}

// The only place that hears yaml-cpp's exceptions.
Result<YAML::Node> load_yaml(std::string_view text, std::string_view source) {
  try {
    return YAML::Load(std::string(text));
  } catch (const YAML::Exception& error) {
    return fail(Code::InvalidArgument, at_line(source, error.mark) + ": " + error.msg);
  }
}

}  // namespace

Result<NodeConfig> NodeConfig::parse(std::string_view yaml, std::string_view source) {
  NodeConfig config;
  auto root = load_yaml(yaml, source);
  if (!root) return fail(std::move(root.error()));
  if (root->IsNull()) return config;
  if (!root->IsMap())
    return fail(Code::InvalidArgument, std::string(source) + ": expected 'key: value' lines");
  std::set<std::string> seen;
  for (const auto& member : *root)
    if (auto status = set_key(config, member.first, member.second, seen); !status)
      return fail(std::move(status.error()).in(at_line(source, member.first.Mark())));
  return config;
}

Result<NodeConfig> NodeConfig::load() {
  const std::string file = env_or("MOAT_CONFIG", kDefaultFile);
  Result<NodeConfig> config;
  if (auto text = read_file(file, kMaxFile)) {
    config = parse(*text, file);
  } else if (text.error().code != Code::NotFound) {
    return fail(std::move(text.error()).in("node configuration"));
  }
  if (!config) return config;
  config->log_dir = env_or("MOAT_LOG_DIR", config->log_dir);
  config->state_dir = env_or("MOAT_STATE_DIR", config->state_dir);
  config->policy_dir = env_or("MOAT_POLICY_DIR", config->policy_dir);
  config->floor = env_or("MOAT_FLOOR", config->floor);
  return config;
}

}  // namespace moat::oci
