// Ties a composed document to one container: `~` and sets become paths, lists become boundaries.
#include <fmt/format.h>

#include <algorithm>

#include "policies/nearest.h"
#include "policies/objects.h"
#include "policies/policy.h"
#include "policies/sets.h"

namespace moat::policies {
namespace {

using Paths = std::vector<std::string>;

std::string join(std::string_view root, std::string_view rest) {
  return root == "/" ? std::string(rest) : std::string(root) + std::string(rest);
}

bool covers(std::string_view root, std::string_view path) {
  return root == "/" || path == root ||
         (path.starts_with(root) && path.substr(root.size()).starts_with('/'));
}

// One container's places, and what a line of a set or of a document is in it.
class Places {
 public:
  explicit Places(const Bindings& bindings)
      : home_(normal_path(bindings.home)), cwd_{normal_path(bindings.cwd)} {
    for (const std::string& root : bindings.environment_roots)
      environment_.push_back(normal_path(root));
  }

  [[nodiscard]] std::string absolute(std::string_view path) const {
    if (!path.starts_with('~')) return normal_path(path);
    return normal_path(join(home_, path.substr(1).empty() ? "/" : path.substr(1)));
  }
  Status add_places(Paths& into, const Paths& declared) const;
  void set(Paths models, Paths scratch) {
    models_ = std::move(models);
    scratch_ = std::move(scratch);
  }
  [[nodiscard]] const Paths& models() const { return models_; }
  [[nodiscard]] const Paths& scratch() const { return scratch_; }
  void add_line(std::string_view line, PathSet& into) const;

 private:
  void add_below(const Paths& roots, std::string_view rest, bool except_keys, PathSet& into) const;

  std::string home_;
  Paths cwd_, environment_, models_, scratch_;
};

Status Places::add_places(Paths& into, const Paths& declared) const {
  for (const std::string& place : declared) {
    if (auto ok = check_path(place, false); !ok) return ok;
    std::string path = absolute(place);
    if (path == "/") return fail(Code::InvalidArgument, "'" + place + "' is the root folder");
    if (std::ranges::find(into, path) == into.end()) into.push_back(std::move(path));
  }
  return {};
}

// Hidden files of a home are where keys are kept (~/.ssh, ~/.aws, ~/.netrc). A server whose working
// directory is its home reads the rest of it.
void Places::add_below(const Paths& roots, std::string_view rest, bool except_keys,
                       PathSet& into) const {
  for (const std::string& root : roots) {
    if (root == "/") continue;  // says nothing about which files are meant
    into.add(root + std::string(rest));
    if (!except_keys) continue;
    for (std::string_view home : {std::string_view(home_), std::string_view("/root")})
      if (home != "/" && covers(root, home)) into.add(fmt::format("!{}/.*/**", home));
    if (root == "/home") into.add("!/home/*/.*/**");
  }
}

void Places::add_line(std::string_view line, PathSet& into) const {
  const bool except = line.starts_with('!');
  const std::string_view path = except ? line.substr(1) : line;
  const std::string_view rest = path.substr(std::min(path.find('/'), path.size()));
  const std::string mark = except ? "!" : "";
  if (path.starts_with('~')) {
    into.add(mark + absolute(path));
  } else if (path.starts_with("$models") || path.starts_with("$scratch")) {
    const bool models = path.starts_with("$models");
    for (const std::string& root : models ? models_ : scratch_)
      into.add(mark + root + std::string(rest));
  } else if (path.starts_with("$cwd")) {
    add_below(cwd_, rest, true, into);
  } else if (path.starts_with("$environment")) {
    add_below(environment_, rest, true, into);
  } else {
    into.add(mark + normal_path(path));
  }
}

Status add_object(const Places& places, Action action, const std::string& object, PathSet& into) {
  if (auto ok = check_object(action, object, false); !ok) return ok;
  if (!object.starts_with('@')) {
    into.add(places.absolute(object));
    return {};
  }
  for (std::string_view line : find_set(object)->content) places.add_line(line, into);
  return {};
}

Status add_network(const Places& places, const ActionRule& rule, NetworkRules& into) {
  for (const std::string& object : rule.objects) {
    if (auto ok = check_object(Action::NetworkAccess, object, false); !ok) return ok;
    if (object == "*")
      into.any = true;
    else if (object == "@listen")
      into.listen = true;
    else
      into.addresses.push_back(object);
  }
  for (const std::string& object : rule.quiet) {
    if (auto ok = check_object(Action::NetworkAccess, object, true); !ok) return ok;
    if (object == "@resolver")
      into.quiet_resolver = true;
    else if (object.starts_with("unix:/"))
      into.quiet_unix.add(places.absolute(std::string_view(object).substr(5)));
  }
  return {};
}

struct PathLists {
  PathSet* allow = nullptr;
  PathSet* quiet = nullptr;
};

PathLists lists_of(Boundary& boundary, Action action) {
  switch (action) {
    case Action::FilesystemRead:
      return {&boundary.read, &boundary.quiet_read};
    case Action::FilesystemModify:
      return {&boundary.modify, &boundary.quiet_modify};
    case Action::FilesystemExec:
      return {&boundary.exec_files, nullptr};
    case Action::DeviceAccess:
      return {&boundary.devices, nullptr};
    case Action::ProcessExec:
      return {&boundary.programs, &boundary.quiet_programs};
    case Action::NetworkAccess:
    case Action::ProcessCreate:
    case Action::ProcessThread:
    case Action::ProcessCross:
    case Action::ProcessContext:
    case Action::SystemInfo:
    case Action::SystemControl:
      return {};
  }
  return {};
}

void set_switch(Boundary& boundary, Action action, bool allowed) {
  switch (action) {
    case Action::ProcessCreate:
      boundary.create = allowed;
      return;
    case Action::ProcessThread:
      boundary.thread = allowed;
      return;
    case Action::ProcessCross:
      boundary.cross = allowed;
      return;
    case Action::ProcessContext:
      boundary.context = allowed;
      return;
    case Action::SystemInfo:
      boundary.info = allowed;
      return;
    case Action::SystemControl:
      boundary.control = allowed;
      return;
    case Action::FilesystemRead:
    case Action::FilesystemModify:
    case Action::FilesystemExec:
    case Action::DeviceAccess:
    case Action::NetworkAccess:
    case Action::ProcessExec:
      return;
  }
}

Status bind_rule(const Places& places, Action action, const ActionRule& rule, Boundary& into) {
  if (!takes_objects(action)) {
    set_switch(into, action, rule.allowed);
    return {};
  }
  if (action == Action::NetworkAccess) return add_network(places, rule, into.network);
  const PathLists lists = lists_of(into, action);
  for (const std::string& object : rule.objects)
    if (auto ok = add_object(places, action, object, *lists.allow); !ok) return ok;
  if (lists.quiet == nullptr) return {};
  for (const std::string& object : rule.quiet)
    if (auto ok = add_object(places, action, object, *lists.quiet); !ok) return ok;
  return {};
}

Result<Boundary> bind_phase(const Places& places, const PhaseRules& rules) {
  Boundary boundary;
  for (Action action : kActions) {
    const auto& rule = rules.of(action);
    if (!rule) continue;
    if (auto ok = bind_rule(places, action, *rule, boundary); !ok)
      return fail(std::move(ok.error()).in(to_string(action)));
  }
  return boundary;
}

// A phase that can be entered but says nothing would refuse everything, threads included.
Status check_phases(const Document& document) {
  for (Phase phase : kPhases) {
    const auto i = static_cast<std::size_t>(phase);
    if (document.phases[i] || (phase != Phase::Init && !document.transitions[i])) continue;
    return fail(Code::InvalidArgument,
                fmt::format("phase '{}' can be entered but has no rules: state spec.phases.{} or "
                            "extend a profile that does",
                            to_string(phase), to_string(phase)));
  }
  return {};
}

Result<Places> bind_places(const Document& document, const Bindings& bindings) {
  Places places(bindings);
  Paths models, scratch;
  for (const Paths* declared : {&document.models, &bindings.models})
    if (auto ok = places.add_places(models, *declared); !ok)
      return fail(std::move(ok.error()).in("models"));
  for (const Paths* declared : {&document.scratch, &bindings.scratch})
    if (auto ok = places.add_places(scratch, *declared); !ok)
      return fail(std::move(ok.error()).in("scratch"));
  places.set(std::move(models), std::move(scratch));
  return places;
}

}  // namespace

Result<Policy> Policy::bind(const Document& composed, const Bindings& bindings) {
  const std::string where = fmt::format("policy '{}'", composed.name);
  if (auto ok = check_phases(composed); !ok) return fail(std::move(ok.error()).in(where));
  const auto places = bind_places(composed, bindings);
  if (!places) return fail(Error(places.error()).in(where));
  Policy policy;
  for (Phase phase : kPhases) {
    const auto i = static_cast<std::size_t>(phase);
    if (!composed.phases[i]) continue;
    auto boundary = bind_phase(*places, *composed.phases[i]);
    if (!boundary)
      return fail(std::move(boundary.error()).in(to_string(phase)).in(where));
    policy.boundaries_[i] = std::move(*boundary);
  }
  policy.name_ = composed.name;
  policy.mode_ = composed.mode.value_or(Mode::Audit);
  policy.reaction_ = composed.on_violation.value_or(Reaction{});
  policy.sessions_ = composed.sessions.value_or(Sessions::Allow);
  policy.models_ = places->models();
  policy.scratch_ = places->scratch();
  policy.transitions_ = composed.transitions;
  return policy;
}

}  // namespace moat::policies
