// A LifecyclePolicy document as its author wrote it, parsed and checked but not yet tied to a
// container. Parsing is in parse.cc, inheritance in compose.cc.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/action.h"
#include "policies/phase.h"
#include "policies/result.h"

namespace moat::policies {

enum class Mode : std::uint8_t { Off, Audit, Learn, Enforce };
std::string_view to_string(Mode mode);
std::optional<Mode> mode_from(std::string_view name);

// What an action's entry says. Switch actions (process.create, …) use `allowed`; object actions use
// `objects`: globs, "@sets", addresses. `quiet` objects are refused without being a violation.
struct ActionRule {
  bool allowed = false;
  std::vector<std::string> objects;
  std::vector<std::string> quiet;

  bool operator==(const ActionRule&) const = default;
};

struct PhaseRules {
  std::array<std::optional<ActionRule>, kActions.size()> rules{};  // by Action; empty: not stated

  [[nodiscard]] const std::optional<ActionRule>& of(Action action) const {
    return rules[static_cast<std::size_t>(action)];
  }
  std::optional<ActionRule>& of(Action action) { return rules[static_cast<std::size_t>(action)]; }
  bool operator==(const PhaseRules&) const = default;
};

// What starts a phase. Several set fields are a conjunction.
struct Trigger {
  bool open_models = false;
  bool listen = false;
  std::vector<std::uint16_t> listen_ports;  // empty: any
  std::optional<int> signal;
  std::optional<std::chrono::milliseconds> quiet;
  std::chrono::milliseconds settle{0};
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<std::chrono::milliseconds> window;  // reload: how long it lasts

  bool operator==(const Trigger&) const = default;
};

struct Reaction {
  enum class Kind : std::uint8_t { Errno, Kill, Quarantine, Terminate };
  Kind kind = Kind::Errno;
  int err = 13;  // EACCES

  bool operator==(const Reaction&) const = default;
};

// What processes started by exec may do beyond the boundary: anything; anything, and it is
// reported; nothing. The boundary is the phase's, or one of their own. `deny` without one: in
// `enforce` none starts.
enum class Sessions : std::uint8_t { Allow, Audit, Deny };
std::string_view to_string(Sessions sessions);
std::optional<Sessions> sessions_from(std::string_view name);

struct Document {
  std::string name;
  std::string purpose;  // one line, shown by moatctl
  std::vector<std::string> extends;
  std::optional<Mode> mode;
  std::optional<Reaction> on_violation;
  std::optional<Sessions> sessions;
  std::optional<PhaseRules> session_rules;  // their own boundary; only with Audit or Deny
  std::vector<std::string> models;
  std::vector<std::string> scratch;
  std::array<std::optional<Trigger>, kPhases.size()> transitions{};
  std::array<std::optional<PhaseRules>, kPhases.size()> phases{};

  bool operator==(const Document&) const = default;
};

// `source` names the text in error messages: "policy.yaml:12:7: spec.phases.load: unknown key
// 'filesytem'; did you mean 'filesystem'?". YAML or JSON; one document (parse_all: several, `---`).
Result<Document> parse_document(std::string_view text, std::string_view source);
Result<std::vector<Document>> parse_all(std::string_view text, std::string_view source);

// Fills what `document` leaves unsaid from the profiles it extends (built-in ones by name),
// leftmost last; an action the document states replaces the inherited list, "+" as first object
// adds to it.
Result<Document> compose(Document document);

// The composed built-in profile `builtin/<name>`, or NotFound naming the ones that exist.
Result<Document> builtin_document(std::string_view name);

// A canonical JSON text of the document (keys sorted), what digests are taken of and what travels
// to the supervisor; parse_document reads it back.
std::string to_json(const Document& document);

}  // namespace moat::policies
