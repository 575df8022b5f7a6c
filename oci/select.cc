#include "oci/select.h"

#include <algorithm>

#include "oci/container_path.h"
#include "oci/floor.h"
#include "oci/mount_list.h"
#include "oci/policy_source.h"
#include "oci/rootfs.h"

namespace moat::oci {
namespace {

using policies::Mode;
using policies::Phase;

std::string annotation(const Spec& spec, const char* key) {
  const auto all = spec.annotations();
  const auto found = all.find(key);
  return found == all.end() ? "" : found->second;
}

std::string container_name(const Spec& spec) {
  return annotation(spec, "io.kubernetes.cri.container-name");
}

// What the pod asks for, before anybody else is heard.
std::optional<Mode> mode_asked(const Annotations& annotations, const std::string& name) {
  const auto& chosen = annotations.containers;
  if (chosen && std::ranges::find(*chosen, name) == chosen->end()) return Mode::Off;
  return annotations.mode;
}

void add_root(std::string_view path, std::vector<std::string>& roots) {
  const auto cleaned = clean_path(path);
  if (cleaned && *cleaned != "/") roots.push_back(*cleaned);
}

std::vector<std::string> environment_roots(const Spec& spec) {
  std::vector<std::string> roots;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    add_root(spec.env(name).value_or(""), roots);
  const std::string path = spec.env("PYTHONPATH").value_or("");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t colon = std::min(path.find(':', at), path.size());
    add_root(std::string_view(path).substr(at, colon - at), roots);
    at = colon + 1;
  }
  return roots;
}

Result<policies::Bindings> bindings_of(const Spec& spec, const Annotations& annotations,
                                       const std::string& rootfs) {
  auto root = open_root(rootfs);
  if (!root) return fail(std::move(root.error()));
  policies::Bindings bindings;
  bindings.home = home_of(root->raw(), spec);
  bindings.cwd = written_point(spec.cwd());
  bindings.models = annotations.model_paths;
  bindings.scratch = annotations.cache_paths;
  bindings.environment_roots = environment_roots(spec);
  return bindings;
}

// Annotations only add places and tighten; loosening ones were refused before.
void apply(const Annotations& annotations, const Floor& floor, Mode mode,
           policies::Document& document) {
  document.mode = mode;
  document.sessions =
      std::max({document.sessions.value_or(policies::Sessions::Allow),
                annotations.sessions.value_or(policies::Sessions::Allow), floor.sessions});
  // Whoever says that none may start means it, whatever they would be held to.
  const bool none = floor.sessions == policies::Sessions::Deny ||
                    annotations.sessions == policies::Sessions::Deny;
  if (none || document.sessions == policies::Sessions::Allow) document.session_rules.reset();
  if (!annotations.serve_on) return;
  auto& serve = document.transitions[static_cast<std::size_t>(Phase::Serve)];
  if (!serve) serve.emplace();
  serve->listen = true;
  serve->listen_ports = *annotations.serve_on;
}

Result<bool> fails_open(const Annotations& annotations, FailurePolicy node) {
  const auto found = annotations.other.find("failure-policy");
  if (found == annotations.other.end()) return node == FailurePolicy::Open;
  if (found->second != "open" || node != FailurePolicy::Closed) return found->second == "open";
  return fail(Code::PermissionDenied,
              "annotation moat.dev/failure-policy: loosens what is promised, which the node's "
              "administrator "
              "has not allowed; failurePolicy: pod in the node configuration would");
}

}  // namespace

bool is_sandbox(const Spec& spec) {
  return annotation(spec, "io.kubernetes.cri.container-type") == "sandbox";
}

Result<std::optional<Selection>> select(const Spec& spec, const NodeConfig& node,
                                        const std::string& rootfs) {
  if (is_sandbox(spec)) return std::nullopt;
  const std::string name = container_name(spec);
  auto annotations = Annotations::parse(spec.annotations(), name);
  if (!annotations) return fail(std::move(annotations.error()));
  const auto floor = Floor::load(node.floor);
  if (!floor) return fail(Error(floor.error()));
  if (auto status = floor->permits(*annotations); !status) return fail(std::move(status.error()));

  const auto fail_open = fails_open(*annotations, node.failure_policy);
  if (!fail_open) return fail(Error(fail_open.error()));

  const auto asked = mode_asked(*annotations, name);
  if (asked == Mode::Off && floor->mode == Mode::Off) return std::nullopt;
  auto source = policy_source(spec, *annotations, node);
  if (!source) return fail(std::move(source.error()));
  policies::Document document = std::move(source->composed);
  const Mode mode = stricter(asked.value_or(document.mode.value_or(node.mode)), floor->mode);
  if (mode == Mode::Off) return std::nullopt;

  apply(*annotations, *floor, mode, document);
  auto bindings = bindings_of(spec, *annotations, rootfs);
  if (!bindings) return fail(std::move(bindings.error()));
  auto policy = policies::Policy::bind(document, *bindings);
  if (!policy) return fail(std::move(policy.error()));
  return Selection{mode,
                   std::move(document),
                   std::move(*bindings),
                   std::move(*policy),
                   std::move(source->source),
                   std::move(source->digest),
                   std::move(*annotations),
                   *fail_open};
}

Status bind_places(Selection& selection, const Places& places) {
  const auto add = [](const std::vector<Place>& found, std::vector<std::string>& paths) {
    for (const Place& place : found)
      if (const std::string at = "/" + place.resolved; at != place.path) paths.push_back(at);
  };
  add(places.models, selection.bindings.models);
  add(places.scratch, selection.bindings.scratch);
  auto policy = policies::Policy::bind(selection.composed, selection.bindings);
  if (!policy) return fail(std::move(policy.error()));
  selection.policy = std::move(*policy);
  return {};
}

}  // namespace moat::oci
