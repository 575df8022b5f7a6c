#include "oci/annotations.h"

#include <algorithm>
#include <array>

#include "oci/annotation_values.h"
#include "policies/nearest.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

// Stores what `Parse` makes of the value in `Slot`, or passes its error on.
template <auto Parse, auto Slot>
Status set(Annotations& to, std::string_view /*key*/, std::string_view value) {
  auto parsed = Parse(value);
  if (!parsed) return fail(std::move(parsed.error()));
  to.*Slot = std::move(*parsed);
  return {};
}

template <auto Parse>
Status set_other(Annotations& to, std::string_view key, std::string_view value) {
  auto parsed = Parse(value);
  if (!parsed) return fail(std::move(parsed.error()));
  to.other[std::string(key)] = std::move(*parsed);
  return {};
}

// Every key there is. A container of a pod may override each but `containers`, which is the pod's.
struct Key {
  std::string_view name;
  Status (*set)(Annotations& to, std::string_view key, std::string_view value);
};
constexpr std::array kKeys{
    Key{"mode", set<value_mode, &Annotations::mode>},
    Key{"profile", set<value_profile, &Annotations::profile>},
    Key{"policy", set<value_path, &Annotations::policy>},
    Key{"policy-sha256", set<value_sha256, &Annotations::policy_sha256>},
    Key{"model-paths", set<value_paths, &Annotations::model_paths>},
    Key{"cache-paths", set<value_paths, &Annotations::cache_paths>},
    Key{"serve-on", set<value_ports, &Annotations::serve_on>},
    Key{"reload", set_other<value_reload>},
    Key{"sessions", set<value_sessions, &Annotations::sessions>},
    Key{"containers", set<value_containers, &Annotations::containers>},
    Key{"failure-policy", set_other<value_failure_policy>},
    Key{"event-rate", set_other<value_rate>},
    Key{"allow-connect", set<value_addresses, &Annotations::allow_connect>},
    Key{"allow-write", set<value_paths, &Annotations::allow_write>},
    Key{"allow-exec", set<value_paths, &Annotations::allow_exec>},
};

constexpr std::string_view kDomain = "moat.dev";

// A key of ours: "moat.dev/mode" or "mode.moat.dev/server".
struct Parts {
  std::string_view key;
  std::optional<std::string_view> container;
};

std::optional<Parts> split(std::string_view annotation) {
  const std::size_t slash = annotation.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view prefix = annotation.substr(0, slash), rest = annotation.substr(slash + 1);
  if (prefix == kDomain) return Parts{rest, std::nullopt};
  if (!prefix.ends_with(kDomain)) return std::nullopt;
  const std::string_view key = prefix.substr(0, prefix.size() - kDomain.size());
  if (!key.ends_with('.')) return std::nullopt;
  return Parts{key.substr(0, key.size() - 1), rest};
}

Result<const Key*> find_key(const Parts& parts) {
  const auto key = std::ranges::find(kKeys, parts.key, &Key::name);
  if (key == kKeys.end()) {
    std::array<std::string_view, kKeys.size()> names{};
    std::ranges::transform(kKeys, names.begin(), &Key::name);
    return fail(Code::InvalidArgument, "no such key" + policies::suggest(parts.key, names));
  }
  if (parts.container && key->name == "containers")
    return fail(Code::InvalidArgument,
                "names the containers of a whole pod: use moat.dev/containers");
  return &*key;
}

}  // namespace

Result<Annotations> Annotations::parse(const std::map<std::string, std::string>& all,
                                       const std::string& container) {
  Annotations parsed;
  // The general form first: what names this container overrides it.
  for (const bool specific : {false, true}) {
    for (const auto& [name, value] : all) {
      const auto parts = split(name);
      if (!parts || parts->container.has_value() != specific) continue;
      const std::string where = "annotation " + policies::printable(name);
      const auto key = find_key(*parts);
      if (!key) return fail(Error(key.error()).in(where));
      if (specific && (container.empty() || *parts->container != container)) continue;
      auto status = check_value(value);
      if (status) status = (*key)->set(parsed, parts->key, value);
      if (!status) return fail(std::move(status.error()).in(where));
    }
  }
  return parsed;
}

}  // namespace moat::oci
