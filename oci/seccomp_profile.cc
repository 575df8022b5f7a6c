#include "oci/seccomp_profile.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace moat::oci {
namespace {

using nlohmann::json;

tl::unexpected<Error> wrong(const std::string& place, std::string_view what) {
  return fail(Code::InvalidArgument, "linux.seccomp: " + place + ": " + std::string(what));
}

Result<std::uint64_t> number_at(const json& object, const char* key, const std::string& place) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return 0;
  // Never by way of a signed number or a double: masks use all 64 bits.
  const bool small = at->is_number_integer() && !at->is_number_unsigned();
  if (!at->is_number_integer() || (small && at->get<std::int64_t>() < 0))
    return wrong(place + "." + key, "not a whole number");
  return at->get<std::uint64_t>();
}

Result<std::string> text_at(const json& object, const char* key, const std::string& place) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) return wrong(place + "." + key, "not a string");
  return at->get<std::string>();
}

Result<FilterAction> action_at(const json& object, const char* key, const char* err_key,
                               const std::string& place) {
  auto name = text_at(object, key, place);
  if (!name) return fail(std::move(name.error()));
  auto err = number_at(object, err_key, place);
  if (!err) return fail(std::move(err.error()));
  FilterAction action{*name == "SCMP_ACT_KILL_THREAD" ? "SCMP_ACT_KILL" : *name, 0};
  if (action.name != "SCMP_ACT_ERRNO" && action.name != "SCMP_ACT_TRACE") return action;
  const auto stated = object.find(err_key);
  const bool silent = stated == object.end() || stated->is_null();
  action.err = silent ? EPERM : static_cast<std::uint32_t>(*err & 0xffff);
  return action;
}

Result<Condition> parse_condition(const json& arg, const std::string& place) {
  if (!arg.is_object()) return wrong(place, "not an object");
  auto op = text_at(arg, "op", place);
  if (!op) return fail(std::move(op.error()));
  const auto compare = compare_from(*op);
  if (!compare) return wrong(place + ".op", "unknown operator '" + *op + "'");
  auto index = number_at(arg, "index", place);
  auto value = number_at(arg, "value", place);
  auto value_two = number_at(arg, "valueTwo", place);
  if (!index || *index > 5) return wrong(place + ".index", "a call has arguments 0 to 5");
  if (!value) return fail(std::move(value.error()));
  if (!value_two) return fail(std::move(value_two.error()));
  const bool masked = *compare == Compare::MaskedEq;
  // A rule that never holds; turned around it would hold where it should not.
  if (masked && (*value_two & ~*value) != 0)
    return wrong(place + ".valueTwo", "has bits outside the mask in value: it can never be equal");
  return Condition{static_cast<std::uint32_t>(*index), *compare, *value, masked ? *value_two : 0};
}

// runc: conditions on different arguments must all hold; as soon as one argument is named twice,
// each condition becomes a rule of its own.
std::vector<Conditions> as_runc_reads(const Conditions& conditions) {
  const bool twice = std::ranges::any_of(conditions, [&](const Condition& one) {
    return std::ranges::count(conditions, one.index, &Condition::index) > 1;
  });
  if (!twice) return {conditions};
  std::vector<Conditions> out;
  for (const Condition& one : conditions) out.push_back({one});
  return out;
}

Result<std::vector<Conditions>> parse_args(const json& group, const std::string& place) {
  const auto args = group.find("args");
  if (args == group.end() || args->is_null()) return std::vector<Conditions>{};
  if (!args->is_array()) return wrong(place + ".args", "not a list");
  Conditions conditions;
  for (std::size_t i = 0; i < args->size(); ++i) {
    auto one = parse_condition((*args)[i], place + ".args[" + std::to_string(i) + "]");
    if (!one) return fail(std::move(one.error()));
    conditions.push_back(*one);
  }
  if (conditions.empty()) return std::vector<Conditions>{};
  return as_runc_reads(conditions);
}

Result<FilterGroup> parse_group(const json& group, const std::string& place) {
  if (!group.is_object()) return wrong(place, "not an object");
  FilterGroup out;
  const auto names = group.find("names");
  const auto is_text = [](const json& name) { return name.is_string(); };
  if (names == group.end() || !names->is_array() || !std::ranges::all_of(*names, is_text))
    return wrong(place + ".names", "not a list of strings");
  for (const json& name : *names) out.names.push_back(name.get<std::string>());
  auto action = action_at(group, "action", "errnoRet", place);
  if (!action) return fail(std::move(action.error()));
  out.action = std::move(*action);
  auto when = parse_args(group, place);
  if (!when) return fail(std::move(when.error()));
  out.when = std::move(*when);
  return out;
}

// Everything the profile says about a call, in its order; what the default says anyway is skipped,
// as runc does.
std::vector<FilterRule> rules_of(const FilterProfile& profile, const std::string& name) {
  std::vector<FilterRule> rules;
  for (const FilterGroup& group : profile.groups) {
    if (group.action == profile.fallback || std::ranges::count(group.names, name) == 0) continue;
    if (group.when.empty()) rules.push_back({group.action, {}});
    for (const Conditions& when : group.when) rules.push_back({group.action, when});
  }
  return rules;
}

// A profile of one call with more alternatives than this was not written by hand.
constexpr std::size_t kMaxRegions = 256;

// Where none of `refused` holds.
Result<std::vector<Conditions>> complement(const std::vector<FilterRule>& refused) {
  std::vector<Conditions> regions{{}};
  for (const FilterRule& rule : refused) {
    std::vector<Conditions> next;
    for (const Conditions& region : regions)
      for (const Condition& condition : rule.when)
        for (const Condition& opposite : negate(condition)) {
          Conditions smaller = region;
          const Meet meet = narrow(smaller, opposite);
          if (meet == Meet::Inexpressible || next.size() == kMaxRegions)
            return fail(Code::FailedPrecondition, "its conditions cannot be turned around");
          if (meet == Meet::Done) next.push_back(std::move(smaller));
        }
    regions = std::move(next);
  }
  return regions;
}

}  // namespace

Result<FilterProfile> parse_filter(const json& seccomp) {
  FilterProfile profile;
  auto fallback = action_at(seccomp, "defaultAction", "defaultErrnoRet", "profile");
  if (!fallback) return fail(std::move(fallback.error()));
  profile.fallback = std::move(*fallback);
  const auto groups = seccomp.find("syscalls");
  if (groups == seccomp.end() || groups->is_null()) return profile;
  if (!groups->is_array()) return wrong("syscalls", "not a list");
  for (std::size_t i = 0; i < groups->size(); ++i) {
    auto group = parse_group((*groups)[i], "syscalls[" + std::to_string(i) + "]");
    if (!group) return fail(std::move(group.error()));
    profile.groups.push_back(std::move(*group));
  }
  return profile;
}

Result<Standing> standing_of(const FilterProfile& profile, const std::string& name) {
  const std::vector<FilterRule> rules = rules_of(profile, name);
  Standing standing;
  // libseccomp: an unconditional rule swallows the conditional ones, the first of several stays.
  const auto whole =
      std::ranges::find_if(rules, [](const auto& rule) { return rule.when.empty(); });
  if (whole != rules.end()) {
    (whole->action.permits() ? standing.permitted : standing.refused).push_back(*whole);
    return standing;
  }
  for (const FilterRule& rule : rules)
    (rule.action.permits() ? standing.permitted : standing.refused).push_back(rule);
  if (!profile.fallback.permits()) return standing;
  auto rest = complement(standing.refused);
  if (!rest) return fail(std::move(rest.error()).in("the rules for '" + name + "'"));
  standing.permitted.clear();  // a part of the rest, as what permits is not refused
  for (Conditions& region : *rest) standing.permitted.push_back({profile.fallback, region});
  return standing;
}

}  // namespace moat::oci
