#include "shim/ctl/lint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "policies/objects.h"
#include "policies/policy.h"
#include "policies/text.h"
#include "policies/tree.h"

namespace moat::shim::ctl {

namespace {

using policies::Node;

// What an ordinary container says about its places; errors that depend on them are a pod's own.
policies::Bindings example() {
  policies::Bindings bindings;
  bindings.home = "/root";
  bindings.cwd = "/app";
  bindings.models = {"/models"};
  bindings.environment_roots = {"/opt/venv"};
  return bindings;
}

const Node* member(const Node* map, std::string_view key) {
  if (map == nullptr || map->kind != Node::Kind::Map) return nullptr;
  const auto found = std::ranges::find(map->items, key, &Node::key);
  return found == map->items.end() ? nullptr : &*found;
}

std::size_t take_number(std::string_view& text) {
  std::size_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end == text.data() + text.size() || *end != ':') return 0;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return value;
}

// ":12:7: what" (the source has no name here) as a finding at its place.
Finding placed(std::string_view what) {
  Finding finding;
  std::string_view rest = what;
  if (rest.starts_with(':')) {
    rest.remove_prefix(1);
    finding.line = take_number(rest);
    finding.column = finding.line > 0 ? take_number(rest) : 0;
  }
  if (finding.column == 0) finding.line = 0;
  while (rest.starts_with(' ') || rest.starts_with(':')) rest.remove_prefix(1);
  finding.message = rest;
  return finding;
}

Finding at(const Node& node, Severity severity, std::string message) {
  return {severity, node.mark.line, node.mark.column, std::move(message)};
}

void note_addresses(const Node& phase, std::vector<Finding>& findings) {
  const Node* rule = member(member(&phase, "network"), "access");
  const Node* list =
      rule != nullptr && rule->kind == Node::Kind::Map ? member(rule, "allow") : rule;
  if (list == nullptr) return;
  for (const Node& object : list->items) {
    if (object.text == "*" || object.text == "+" || object.text.starts_with('@')) continue;
    if (object.text == policies::kAnyUnix || policies::address_rule(object.text)) continue;
    constexpr std::string_view kUnix = "unix:";
    const bool is_unix = object.text.starts_with(kUnix);
    const bool home = is_unix && object.text.starts_with("unix:~");  // "~" has a path of its own
    if (is_unix &&
        (home || policies::unix_rule(std::string_view(object.text).substr(kUnix.size()))))
      continue;
    const char* why = is_unix
                          ? "a Unix socket is named exactly, or by its folder (unix:/run/app/**)"
                          : "the kernel knows no names; state the addresses it stands for";
    findings.push_back(at(object, Severity::Note,
                          fmt::format("'{}' is refused in {} all the same: {}",
                                      policies::printable(object.text), phase.key, why)));
  }
}

// Words that are right and have no effect in this version.
void note_without_effect(const Node& tree, std::vector<Finding>& findings) {
  const Node* spec = member(&tree, "spec");
  if (const Node* phases = member(spec, "phases"))
    for (const Node& phase : phases->items) note_addresses(phase, findings);
  for (const char* phase : {"reload", "train"})
    if (const Node* trigger = member(member(spec, "transitions"), phase))
      findings.push_back(at(*trigger, Severity::Note,
                            fmt::format("'{}' is never entered in this version", phase)));
}

void check(const policies::Document& document, const Node& tree, std::vector<Finding>& findings) {
  note_without_effect(tree, findings);
  const Node* spec = member(&tree, "spec");
  const Node* extends = member(spec, "extends");
  auto composed = policies::compose(document);
  if (!composed) {
    findings.push_back(
        at(extends != nullptr ? *extends : tree, Severity::Error, composed.error().what));
    return;
  }
  const auto bound = policies::Policy::bind(*composed, example());
  if (!bound)
    findings.push_back(at(spec != nullptr ? *spec : tree, Severity::Error, bound.error().what));
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::Error:
      return "error";
    case Severity::Note:
      return "note";
  }
  return "?";
}

std::vector<Finding> lint(std::string_view text) {
  const auto documents = policies::parse_all(text, "");
  if (!documents) return {placed(documents.error().what)};
  const auto trees = policies::read_trees(text, "");
  if (!trees) return {placed(trees.error().what)};
  std::vector<Finding> findings;
  for (std::size_t i = 0; i < documents->size() && i < trees->size(); ++i)
    check((*documents)[i], (*trees)[i], findings);
  std::ranges::stable_sort(findings, {}, [](const Finding& finding) {
    return std::tuple(finding.line, finding.column);
  });
  return findings;
}

}  // namespace moat::shim::ctl
