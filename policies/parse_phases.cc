// `spec.phases`: the boundary of each phase. Groups and their members come from the names of the
// actions.
#include <algorithm>

#include "policies/objects.h"
#include "policies/parse.h"

namespace moat::policies {
namespace {

constexpr std::size_t kMaxObjects = 1024;  // each is compared at every question

struct ActionName {
  std::string_view group, member;
};

ActionName split(Action action) {
  const std::string_view name = to_string(action);
  const std::size_t dot = name.find('.');
  return {name.substr(0, dot), name.substr(dot + 1)};
}

Result<std::vector<std::string>> read_objects(const Field& field, Action action, bool quiet) {
  auto objects = field.texts();
  if (!objects) return objects;
  if (objects->size() > kMaxObjects)
    return field.wrong(fmt::format("{} objects; at most {}", objects->size(), kMaxObjects));
  for (std::size_t i = 0; i < objects->size(); ++i) {
    if (i == 0 && !quiet && objects->front() == "+") continue;
    if (auto ok = check_object(action, (*objects)[i], quiet); !ok)
      return field.item(i).wrong(ok.error().what);
  }
  return objects;
}

// Refusals of devices and of code are never a habit of an honest program.
bool can_be_quiet(Action action) {
  return action != Action::DeviceAccess && action != Action::FilesystemExec;
}

// {allow: […], quiet: […]}
Status read_lists(const Field& field, Action action, ActionRule& into) {
  for (const Node& child : field.node().items) {
    constexpr std::array<std::string_view, 2> kKeys{"allow", "quiet"};
    const bool quiet = child.key == kKeys[1];
    if (!quiet && child.key != kKeys[0]) return field.wrong_key(child, kKeys);
    const Field member = field.member(child);
    if (quiet && !can_be_quiet(action)) return member.wrong("is not supported for this action");
    auto objects = read_objects(member, action, quiet);
    if (!objects) return fail(std::move(objects.error()));
    (quiet ? into.quiet : into.objects) = std::move(*objects);
  }
  if (field.find("allow") == nullptr) return field.wrong("'allow' is missing ([] allows nothing)");
  return {};
}

Result<ActionRule> read_rule(const Field& field, Action action) {
  ActionRule rule;
  if (!takes_objects(action)) {
    const auto flag = field.flag();
    if (!flag) return fail(flag.error());
    rule.allowed = *flag;
  } else if (field.is(Node::Kind::Map)) {
    if (auto ok = read_lists(field, action, rule); !ok) return fail(std::move(ok.error()));
  } else {
    if (auto ok = field.need(Node::Kind::List, "a list of objects ([] allows nothing)"); !ok)
      return fail(std::move(ok.error()));
    auto objects = read_objects(field, action, false);
    if (!objects) return fail(std::move(objects.error()));
    rule.objects = std::move(*objects);
  }
  return rule;
}

Status read_group(const Field& field, PhaseRules& into) {
  if (auto ok = field.need(Node::Kind::Map, "a mapping of actions"); !ok) return ok;
  for (const Node& child : field.node().items) {
    std::vector<std::string_view> members;
    std::optional<Action> action;
    for (Action candidate : kActions) {
      const auto [group, member] = split(candidate);
      if (group != field.key()) continue;
      members.push_back(member);
      if (member == child.key) action = candidate;
    }
    if (!action) return field.wrong_key(child, members);
    auto rule = read_rule(field.member(child), *action);
    if (!rule) return fail(std::move(rule.error()));
    into.of(*action) = std::move(*rule);
  }
  return {};
}

}  // namespace

Status read_boundary(const Field& field, PhaseRules& into) {
  if (auto ok = field.need(Node::Kind::Map, "a mapping of actions"); !ok) return ok;
  std::vector<std::string_view> groups;
  for (Action action : kActions)
    if (groups.empty() || groups.back() != split(action).group)
      groups.push_back(split(action).group);
  for (const Node& child : field.node().items) {
    if (std::ranges::find(groups, child.key) == groups.end()) return field.wrong_key(child, groups);
    if (auto ok = read_group(field.member(child), into); !ok) return ok;
  }
  return {};
}

Status read_phases(const Field& field, Document& into) {
  if (auto ok = field.need(Node::Kind::Map, "a mapping of phases"); !ok) return ok;
  for (const Node& child : field.node().items) {
    const auto phase = read_phase(field, child);
    if (!phase) return fail(phase.error());
    PhaseRules rules;
    if (auto ok = read_boundary(field.member(child), rules); !ok) return ok;
    into.phases[static_cast<std::size_t>(*phase)] = std::move(rules);
  }
  return {};
}

}  // namespace moat::policies
