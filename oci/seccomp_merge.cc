// Merges what supervision needs into the profile a container came with. Rules are converted in
// place, never added beside others: what the profile refuses stays refused, and libseccomp resolves
// two actions for one call in ways nobody should rely on.
#include <algorithm>
#include <map>
#include <set>

#include "oci/rewrite.h"
#include "oci/seccomp_profile.h"

namespace moat::oci {
namespace {

using nlohmann::json;
using policies::CallPlan;
using policies::Treatment;

constexpr std::size_t kMaxSocketPath = 107;  // sun_path without its NUL

const FilterAction kNotify{"SCMP_ACT_NOTIFY", 0};

// The rules that take the place of the ones a profile had for the calls in `names`.
struct Replacement {
  std::set<std::string> names;
  std::vector<std::pair<std::string, FilterRule>> rules;
};

// The part of a region one test leaves of it; nothing if a profile cannot state that part.
bool split(const FilterRule& region, const policies::Interest& interest,
           std::vector<FilterRule>& out) {
  const auto part = [&](const policies::ArgTest& test, const FilterAction& action) {
    FilterRule rule{action, region.when};
    const Meet meet = narrow(rule.when, condition_of(test));
    if (meet == Meet::Done) out.push_back(std::move(rule));
    return meet != Meet::Inexpressible;
  };
  for (const auto& test : interest.any)
    if (test && !part(*test, kNotify)) return false;
  return part(*interest.none, region.action);
}

// Asks about everything that gets through, or only about its interesting part where that can be
// said. A question too many is answered with yes; rules beside refusing ones are not worth a risk.
std::vector<FilterRule> notify(const Standing& standing, const policies::Interest& interest) {
  std::vector<FilterRule> rules;
  for (const FilterRule& region : standing.permitted) {
    std::vector<FilterRule> parts;
    const bool narrowed =
        interest.none && standing.refused.empty() && split(region, interest, parts);
    if (!narrowed) parts = {{kNotify, region.when}};
    rules.insert(rules.end(), parts.begin(), parts.end());
  }
  return rules;
}

std::vector<FilterRule> refuse(const Standing& standing, int err) {
  std::vector<FilterRule> rules;
  for (const FilterRule& region : standing.permitted)
    rules.push_back({{"SCMP_ACT_ERRNO", static_cast<std::uint32_t>(err)}, region.when});
  return rules;
}

Status replace_one(const FilterProfile& profile, const CallPlan& plan, Replacement& out) {
  if (plan.treatment == Treatment::Allow) return {};
  const std::string name(plan.call->name);
  auto standing = standing_of(profile, name);
  if (!standing) return fail(std::move(standing.error()));
  if (standing->permitted.empty()) return {};
  auto rules = plan.treatment == Treatment::Refuse ? refuse(*standing, plan.err)
                                                   : notify(*standing, plan.call->interest);
  out.names.insert(name);
  rules.insert(rules.end(), standing->refused.begin(), standing->refused.end());
  for (FilterRule& rule : rules)
    if (rule.action != profile.fallback) out.rules.emplace_back(name, std::move(rule));
  return {};
}

Result<Replacement> replacement(const FilterProfile& profile, const RewriteInput& input) {
  Replacement out;
  for (const CallPlan& call : input.plan) {
    if (call.call->number(input.arch) < 0) continue;
    if (auto ok = replace_one(profile, call, out); !ok)
      return fail(Code::FailedPrecondition, "linux.seccomp: " + ok.error().what +
                                                ": simplify the profile or set moat.dev/mode: off");
  }
  return out;
}

json group_of(const FilterAction& action) {
  json group{{"names", json::array()}, {"action", action.name}};
  if (action.name == "SCMP_ACT_ERRNO" || action.name == "SCMP_ACT_TRACE")
    group["errnoRet"] = action.err;
  return group;
}

json args_of(const Conditions& when) {
  json args = json::array();
  for (const Condition& one : when) {
    json arg{{"index", one.index}, {"value", one.value}, {"op", to_string(one.op)}};
    if (one.op == Compare::MaskedEq) arg["valueTwo"] = one.value_two;
    args.push_back(std::move(arg));
  }
  return args;
}

// The profile's own groups without the names that are ruled anew, and without what the default says
// anyway: some versions of libseccomp reject such rules.
json kept_groups(const json& seccomp, const FilterProfile& profile, const Replacement& anew) {
  json out = json::array();
  for (std::size_t i = 0; i < profile.groups.size(); ++i) {
    if (profile.groups[i].action == profile.fallback) continue;
    json group = seccomp["syscalls"][i];
    json names = json::array();
    for (const std::string& name : profile.groups[i].names)
      if (!anew.names.contains(name)) names.push_back(name);
    if (names.empty()) continue;
    group["names"] = std::move(names);
    out.push_back(std::move(group));
  }
  return out;
}

void append(json& groups, const Replacement& anew) {
  std::map<std::pair<std::string, std::uint32_t>, json> whole;  // one group for each action
  for (const auto& [name, rule] : anew.rules) {
    json fresh = group_of(rule.action);
    if (rule.when.empty()) {
      auto& group = whole.try_emplace({rule.action.name, rule.action.err}, fresh).first->second;
      group["names"].push_back(name);
      continue;
    }
    fresh["names"].push_back(name);
    fresh["args"] = args_of(rule.when);
    groups.push_back(std::move(fresh));
  }
  for (auto& [action, group] : whole) groups.push_back(std::move(group));
}

// Two supervisors cannot share a filter tree: the kernel has one listener for it.
Status check_alone(const json& seccomp, const FilterProfile& profile) {
  const auto path = seccomp.find("listenerPath");
  if (path != seccomp.end() && path->is_string() && !path->get<std::string>().empty())
    return fail(Code::FailedPrecondition,
                "linux.seccomp.listenerPath is already set to " + path->get<std::string>() +
                    "; two supervisors cannot share a container: remove it from the profile or "
                    "set moat.dev/mode: off");
  const bool asks =
      profile.fallback.name == kNotify.name ||
      std::ranges::any_of(profile.groups, [](const auto& g) { return g.action == kNotify; });
  if (!asks) return {};
  return fail(Code::FailedPrecondition,
              "linux.seccomp has SCMP_ACT_NOTIFY rules, which are for another supervisor: remove "
              "them from the profile or set moat.dev/mode: off");
}

const char* native(policies::Arch arch) {
  switch (arch) {
    case policies::Arch::X86_64:
      return "SCMP_ARCH_X86_64";
    case policies::Arch::Arm64:
      return "SCMP_ARCH_AARCH64";
  }
  return "?";
}

}  // namespace

Status merge_seccomp(json& linux_section, const RewriteInput& input) {
  if (input.mode == policies::Mode::Off) return {};
  if (input.listener_path.size() > kMaxSocketPath || !input.listener_path.starts_with('/'))
    return fail(Code::InvalidArgument, "listener " + input.listener_path +
                                           ": an absolute path of at most 107 bytes is needed");
  if (!linux_section.is_null() && !linux_section.is_object())
    return fail(Code::InvalidArgument, "linux: not an object");
  const auto brought = linux_section.find("seccomp");
  // None at all: a privileged container, Unconfined, or plain ctr.
  const bool none = brought == linux_section.end() || brought->is_null();
  json seccomp = none ? json{{"defaultAction", "SCMP_ACT_ALLOW"}} : *brought;
  if (!seccomp.is_object()) return fail(Code::InvalidArgument, "linux.seccomp: not an object");
  auto profile = parse_filter(seccomp);
  if (!profile) return fail(std::move(profile.error()));
  if (auto alone = check_alone(seccomp, *profile); !alone) return alone;
  auto anew = replacement(*profile, input);
  if (!anew) return fail(std::move(anew.error()));

  json groups = kept_groups(seccomp, *profile, *anew);
  append(groups, *anew);
  seccomp["syscalls"] = std::move(groups);
  // Other ABIs have other numbers; libseccomp kills what comes through them.
  seccomp["architectures"] = json::array({native(input.arch)});
  seccomp["listenerPath"] = input.listener_path;
  seccomp["listenerMetadata"] = input.listener_metadata;
  linux_section["seccomp"] = std::move(seccomp);
  return {};
}

}  // namespace moat::oci
