// Inheritance: the profiles a document extends are put in one order, each once, and laid over each
// other. Loosening is possible here; what bounds it is the floor, not the profile.
#include "policies/compose.h"

#include <fmt/format.h>

#include <algorithm>

#include "policies/builtin.h"
#include "policies/nearest.h"
#include "policies/text.h"

namespace moat::policies {
namespace {

constexpr std::size_t kMaxDepth = 8;      // of profiles extending profiles
constexpr std::size_t kMaxProfiles = 32;  // in all; a wide tree must not cost more than a deep one

using Texts = std::vector<std::string>;

// "+" first: `over` is added to what is there.
void lay_list(Texts& under, const Texts& over) {
  const bool add = !over.empty() && over.front() == "+";
  if (!add) under.clear();
  for (auto it = over.begin() + (add ? 1 : 0); it != over.end(); ++it)
    if (std::ranges::find(under, *it) == under.end()) under.push_back(*it);
}

void lay_rule(std::optional<ActionRule>& under, const ActionRule& over) {
  const bool add = !over.objects.empty() && over.objects.front() == "+";
  ActionRule rule = under.value_or(ActionRule{});
  rule.allowed = over.allowed;
  lay_list(rule.objects, over.objects);
  // `quiet` follows: an action that is stated anew is silent about nothing it does not name.
  if (!add) rule.quiet.clear();
  for (const std::string& object : over.quiet)
    if (std::ranges::find(rule.quiet, object) == rule.quiet.end()) rule.quiet.push_back(object);
  under = std::move(rule);
}

void lay_boundary(std::optional<PhaseRules>& under, const PhaseRules& over) {
  if (!under) under.emplace();
  for (Action action : kActions)
    if (const auto& rule = over.of(action)) lay_rule(under->of(action), *rule);
}

void lay_phases(Document& under, const Document& over) {
  for (std::size_t i = 0; i < kPhases.size(); ++i)
    if (over.phases[i]) lay_boundary(under.phases[i], *over.phases[i]);
}

// A verdict alone says all there is to say of sessions: a boundary below it is gone.
void lay_sessions(Document& under, const Document& over) {
  if (!over.sessions) return;
  under.sessions = over.sessions;
  if (over.session_rules)
    lay_boundary(under.session_rules, *over.session_rules);
  else
    under.session_rules.reset();
}

void lay(Document& under, const Document& over) {
  under.name = over.name;
  if (!over.purpose.empty()) under.purpose = over.purpose;
  if (over.mode) under.mode = over.mode;
  if (over.on_violation) under.on_violation = over.on_violation;
  lay_sessions(under, over);
  if (!over.models.empty()) lay_list(under.models, over.models);
  if (!over.scratch.empty()) lay_list(under.scratch, over.scratch);
  for (std::size_t i = 0; i < kPhases.size(); ++i)
    if (over.transitions[i]) under.transitions[i] = over.transitions[i];
  lay_phases(under, over);
}

// Collects the profiles below `document`, basest first. The leftmost of `extends` comes last, so
// that it wins; a profile reached twice counts where it was reached first.
class Line {
 public:
  explicit Line(const FindProfile& find) : find_(find) {}

  Status add_bases(const Document& document) {
    for (auto name = document.extends.rbegin(); name != document.extends.rend(); ++name)
      if (auto ok = add(*name); !ok) return ok;
    return {};
  }
  [[nodiscard]] const std::vector<Document>& documents() const { return documents_; }

 private:
  Status add(const std::string& name) {
    if (std::ranges::find(open_, name) != open_.end())
      return fail(Code::InvalidArgument,
                  fmt::format("extends: '{}' extends itself ({} -> {})", name, path(), name));
    if (std::ranges::find(done_, name) != done_.end()) return {};
    if (open_.size() >= kMaxDepth || done_.size() >= kMaxProfiles)
      return fail(Code::ResourceExhausted,
                  fmt::format("extends: more than {} profiles, or deeper than {} ({})",
                              kMaxProfiles, kMaxDepth, path()));
    auto profile = find_(name);
    if (!profile) return fail(std::move(profile.error()).in("extends"));
    open_.push_back(name);
    if (auto ok = add_bases(*profile); !ok) return ok;
    open_.pop_back();
    done_.push_back(name);
    documents_.push_back(std::move(*profile));
    return {};
  }
  [[nodiscard]] std::string path() const {
    std::string text;
    for (const std::string& name : open_) text += (text.empty() ? "" : " -> ") + name;
    return text;
  }

  const FindProfile& find_;
  std::vector<std::string> open_, done_;
  std::vector<Document> documents_;
};

Result<Document> find_builtin(std::string_view name) {
  std::vector<std::string_view> names;
  for (const BuiltinProfile& profile : builtin_profiles()) {
    if (profile.name == name) return parse_document(profile.yaml, profile.name);
    names.push_back(profile.name);
  }
  return fail(Code::NotFound,
              fmt::format("unknown profile '{}'{}", printable(name), suggest(name, names)));
}

}  // namespace

Result<Document> compose(Document document, const FindProfile& find) {
  Line line(find);
  if (auto ok = line.add_bases(document); !ok)
    return fail(std::move(ok.error()).in(fmt::format("policy '{}'", document.name)));
  Document composed;
  for (const Document& base : line.documents()) lay(composed, base);
  lay(composed, document);
  return composed;
}

Result<Document> compose(Document document) {
  return compose(std::move(document), find_builtin);
}

Result<Document> builtin_document(std::string_view name) {
  const bool full = name.starts_with("builtin/");
  auto document = find_builtin(full ? std::string(name) : "builtin/" + std::string(name));
  if (!document) return document;
  return compose(std::move(*document));
}

}  // namespace moat::policies
