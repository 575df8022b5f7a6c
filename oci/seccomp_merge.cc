// Merges what supervision needs into the profile a container came with. Rules are converted in
// place, never added beside others: what the profile refuses stays refused, and libseccomp resolves
// two actions for one call in ways nobody should rely on.
#include <algorithm>
#include <cerrno>
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

// What rules stand on: what becomes of values that none names, and what refusing ones say.
struct Ground {
  FilterAction fallback;
  int err = 0;
};

// The rules that take the place of the ones a profile had for the calls in `names`.
struct Replacement {
  Ground ground;
  std::set<std::string> names;
  std::vector<std::pair<std::string, FilterRule>> rules;
};

// What becomes of one part of a call's registers.
struct Part {
  enum class Want { Keep, Ask, Refuse };
  Conditions when;
  Want want = Want::Keep;
};

Conditions conditions_of(const policies::Block& block) {
  Conditions when;
  for (const policies::ArgTest& test : block) when.push_back(condition_of(test));
  return when;
}

void add(std::vector<Part>& parts, const std::vector<policies::Block>& blocks, Part::Want want) {
  for (const policies::Block& block : blocks) parts.push_back({conditions_of(block), want});
}

Part::Want want_of(Treatment treatment) {
  switch (treatment) {
    case Treatment::Allow:
      return Part::Want::Keep;
    case Treatment::Refuse:
      return Part::Want::Refuse;
    case Treatment::Notify:
      return Part::Want::Ask;
  }
  return Part::Want::Ask;
}

// What is not barred; asked about only where it is interesting.
std::vector<Part> rest_of(const CallPlan& plan) {
  std::vector<Part> parts;
  if (plan.rest != Treatment::Notify) return {{{}, want_of(plan.rest)}};
  add(parts, blocks_of(*plan.call->interest), Part::Want::Ask);
  add(parts, blocks_outside(*plan.call->interest), Part::Want::Keep);
  return parts;
}

bool join(Conditions& when, const Conditions& more, bool& empty) {
  for (const Condition& one : more) {
    const Meet meet = narrow(when, one);
    if (meet == Meet::Inexpressible) return false;
    if (meet == Meet::Empty) empty = true;
  }
  return true;
}

// They cover every value, and those that want different things have none in common.
std::vector<Part> parts_of(const CallPlan& plan) {
  const std::vector<Part> rest = rest_of(plan);
  const Part::Want want = want_of(plan.barred);
  if (want == Part::Want::Keep || (rest.size() == 1 && rest[0].want == want)) return rest;
  std::vector<Part> parts;
  add(parts, blocks_of(*plan.call->barred), want);
  for (const policies::Block& block : blocks_outside(*plan.call->barred))
    for (const Part& part : rest) {
      Part both{conditions_of(block), part.want};
      bool empty = false;
      if (!join(both.when, part.when, empty)) both = {conditions_of(block), Part::Want::Ask};
      if (!empty) parts.push_back(std::move(both));
    }
  return parts;
}

FilterAction action_of(const FilterRule& region, Part::Want want, int err) {
  switch (want) {
    case Part::Want::Keep:
      return region.action;
    case Part::Want::Ask:
      return kNotify;
    case Part::Want::Refuse:
      break;
  }
  return {"SCMP_ACT_ERRNO", static_cast<std::uint32_t>(err)};
}

// A region that gets through, part by part; false if a profile cannot state one of them. A part to
// be refused needs no statement where whatever is not stated is refused.
bool divide(const FilterRule& region, const std::vector<Part>& parts, const Ground& ground,
            std::vector<FilterRule>& out) {
  for (const Part& part : parts) {
    FilterRule rule{action_of(region, part.want, ground.err), region.when};
    bool empty = false;
    if (join(rule.when, part.when, empty)) {
      if (!empty) out.push_back(std::move(rule));
    } else if (part.want != Part::Want::Refuse || ground.fallback.permits()) {
      return false;
    }
  }
  return true;
}

// Where parts cannot be stated everything that gets through is asked about: the supervisor decides
// on the same registers. A question too many is answered with yes; rules beside refusing ones are
// not worth a risk.
std::vector<FilterRule> ruled(const Standing& standing, const std::vector<Part>& parts,
                              const Ground& ground) {
  std::vector<FilterRule> rules;
  for (const FilterRule& region : standing.permitted) {
    std::vector<FilterRule> divided;
    const bool whole = parts.size() == 1 && parts[0].when.empty();
    if ((whole || standing.refused.empty()) && divide(region, parts, ground, divided))
      rules.insert(rules.end(), divided.begin(), divided.end());
    else
      rules.push_back({kNotify, region.when});
  }
  return rules;
}

Status rule_call(const FilterProfile& profile, const std::string& name,
                 const std::vector<Part>& parts, Replacement& out) {
  auto standing = standing_of(profile, name);
  if (!standing) return fail(std::move(standing.error()));
  if (standing->permitted.empty()) return {};
  auto rules = ruled(*standing, parts, out.ground);
  out.names.insert(name);
  rules.insert(rules.end(), standing->refused.begin(), standing->refused.end());
  for (FilterRule& rule : rules)
    if (rule.action != out.ground.fallback) out.rules.emplace_back(name, std::move(rule));
  return {};
}

bool is_kept(const CallPlan& plan) {
  return plan.barred == Treatment::Allow && plan.rest == Treatment::Allow;
}

// What no rule names gets ENOSYS, as from a kernel that does not have it, where the profile would
// let it through: a call that is newer than the table must not be a hole. So everything else is
// named.
Status close_default(const FilterProfile& profile, const RewriteInput& input, Replacement& out) {
  if (!profile.fallback.permits() || input.known_calls.empty()) return {};
  out.ground.fallback = {"SCMP_ACT_ERRNO", ENOSYS};
  for (const std::string& name : input.known_calls)
    if (policies::find_syscall(name) == nullptr)
      if (auto ok = rule_call(profile, name, {Part{}}, out); !ok) return ok;
  return {};
}

Result<Replacement> replacement(const FilterProfile& profile, const RewriteInput& input) {
  Replacement out;
  out.ground.fallback = profile.fallback;
  Status status = close_default(profile, input, out);
  const bool closed = out.ground.fallback != profile.fallback;
  for (const CallPlan& plan : input.plan) {
    if (!status) break;
    if (plan.call->number(input.arch) < 0 || (is_kept(plan) && !closed)) continue;
    out.ground.err = plan.call->never_errno;
    status = rule_call(profile, std::string(plan.call->name), parts_of(plan), out);
  }
  if (status) return out;
  return fail(Code::FailedPrecondition, "linux.seccomp: " + status.error().what +
                                            ": simplify the profile or set moat.dev/mode: off");
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
    if (profile.groups[i].action == anew.ground.fallback) continue;
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
  if (anew->ground.fallback != profile->fallback) {
    seccomp["defaultAction"] = anew->ground.fallback.name;
    seccomp["defaultErrnoRet"] = anew->ground.fallback.err;
  }
  // Other ABIs have other numbers; libseccomp kills what comes through them.
  seccomp["architectures"] = json::array({native(input.arch)});
  seccomp["listenerPath"] = input.listener_path;
  seccomp["listenerMetadata"] = input.listener_metadata;
  linux_section["seccomp"] = std::move(seccomp);
  return {};
}

}  // namespace moat::oci
