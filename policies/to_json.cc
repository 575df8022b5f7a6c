// A document as canonical JSON: sorted keys, only what is stated. Digests are taken of this text.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policies/document.h"
#include "policies/numbers.h"
#include "policies/objects.h"

namespace moat::policies {
namespace {

using nlohmann::json;

std::string duration(std::chrono::milliseconds value) {
  return fmt::format("{}ms", value.count());
}

json trigger_json(const Trigger& trigger) {
  json on = json::object();
  if (trigger.open_models) on["open"] = "models";
  if (trigger.listen && trigger.listen_ports.empty()) on["listen"] = true;
  if (trigger.listen && !trigger.listen_ports.empty()) on["listen"] = trigger.listen_ports;
  if (trigger.quiet) on["quiet"] = duration(*trigger.quiet);
  if (trigger.signal) on["signal"] = signal_name(*trigger.signal);
  json out{{"on", std::move(on)}};
  if (trigger.settle.count() != 0) out["settle"] = duration(trigger.settle);
  if (trigger.timeout) out["timeout"] = duration(*trigger.timeout);
  if (trigger.window) out["window"] = duration(*trigger.window);
  return out;
}

json rule_json(Action action, const ActionRule& rule) {
  if (!takes_objects(action)) return rule.allowed;
  if (rule.quiet.empty()) return rule.objects;
  return {{"allow", rule.objects}, {"quiet", rule.quiet}};
}

json phase_json(const PhaseRules& rules) {
  json out = json::object();
  for (Action action : kActions) {
    const auto& rule = rules.of(action);
    if (!rule) continue;
    const std::string_view name = to_string(action);
    const std::size_t dot = name.find('.');
    out[std::string(name.substr(0, dot))][std::string(name.substr(dot + 1))] =
        rule_json(action, *rule);
  }
  return out;
}

json reaction_json(const Reaction& reaction) {
  switch (reaction.kind) {
    case Reaction::Kind::Errno:
      return {{"errno", errno_name(reaction.err)}};
    case Reaction::Kind::Kill:
      return "kill";
    case Reaction::Kind::Quarantine:
      return "quarantine";
    case Reaction::Kind::Terminate:
      return "terminate";
  }
  return nullptr;
}

json spec_json(const Document& document) {
  json spec = json::object();
  if (!document.purpose.empty()) spec["purpose"] = document.purpose;
  if (!document.extends.empty()) spec["extends"] = document.extends;
  if (document.mode) spec["mode"] = to_string(*document.mode);
  if (document.on_violation) spec["onViolation"] = reaction_json(*document.on_violation);
  if (document.sessions) spec["sessions"] = to_string(*document.sessions);
  if (document.sessions && document.session_rules)
    spec["sessions"] = {{"verdict", to_string(*document.sessions)},
                        {"boundary", phase_json(*document.session_rules)}};
  if (!document.models.empty()) spec["models"] = document.models;
  if (!document.scratch.empty()) spec["scratch"] = document.scratch;
  for (Phase phase : kPhases) {
    const auto i = static_cast<std::size_t>(phase);
    const std::string name(to_string(phase));
    if (document.transitions[i]) spec["transitions"][name] = trigger_json(*document.transitions[i]);
    if (document.phases[i]) spec["phases"][name] = phase_json(*document.phases[i]);
  }
  return spec;
}

}  // namespace

std::string to_json(const Document& document) {
  const json out{{"apiVersion", "moat.dev/v1alpha1"},
                 {"kind", "LifecyclePolicy"},
                 {"metadata", {{"name", document.name}}},
                 {"spec", spec_json(document)}};
  // A document built by hand may hold bytes that are no UTF-8; the default would throw.
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace moat::policies
