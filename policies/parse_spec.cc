// `spec`: what a policy says besides its phases.
#include <algorithm>

#include "policies/numbers.h"
#include "policies/objects.h"
#include "policies/parse.h"
#include "policies/text.h"

namespace moat::policies {
namespace {

constexpr std::size_t kMaxExtends = 16;
constexpr std::size_t kMaxPlaces = 256;  // each becomes a mount
constexpr std::size_t kMaxPurpose = 200;

Status read_extends(const Field& field, Document& into) {
  auto names = field.texts();
  if (!names) return fail(std::move(names.error()));
  if (names->size() > kMaxExtends)
    return field.wrong(fmt::format("{} profiles; at most {}", names->size(), kMaxExtends));
  into.extends = std::move(*names);
  return {};
}

Status read_mode(const Field& field, Document& into) {
  const auto text = field.text();
  if (!text) return fail(text.error());
  into.mode = mode_from(*text);
  if (into.mode) return {};
  const std::array names{to_string(Mode::Off), to_string(Mode::Audit), to_string(Mode::Learn),
                         to_string(Mode::Enforce)};
  return field.wrong(not_one_of(*text, names));
}

Status read_verdict(const Field& field, Document& into) {
  const auto text = field.text();
  if (!text) return fail(text.error());
  into.sessions = sessions_from(*text);
  if (into.sessions) return {};
  const std::array names{to_string(Sessions::Allow), to_string(Sessions::Audit),
                         to_string(Sessions::Deny)};
  return field.wrong(not_one_of(*text, names));
}

Status read_session_rules(const Field& field, Document& into) {
  PhaseRules rules;
  if (auto ok = read_boundary(field, rules); !ok) return ok;
  into.session_rules = std::move(rules);
  return {};
}

constexpr std::array kSessions{Key<Document>{"verdict", read_verdict},
                               Key<Document>{"boundary", read_session_rules}};

// A word, or {verdict: …, boundary: {…}}.
Status read_sessions(const Field& field, Document& into) {
  if (!field.is(Node::Kind::Map)) return read_verdict(field, into);
  if (auto ok = read_keys(field, kSessions, into); !ok) return ok;
  if (!into.session_rules)
    return field.wrong("'boundary' is missing (without one write the verdict alone)");
  if (!into.sessions) into.sessions = Sessions::Deny;
  if (*into.sessions != Sessions::Allow) return {};
  return field.wrong("'allow' with a boundary would mean nothing; audit or deny");
}

Status read_errno(const Field& field, Reaction& into) {
  const auto text = field.text();
  if (!text) return fail(text.error());
  constexpr std::array<std::string_view, 6> kUsual{"EACCES", "EPERM",  "ENOENT",
                                                   "EROFS",  "ENOSYS", "ECONNREFUSED"};
  const auto err = errno_from(*text);
  if (!err)
    return field.wrong(fmt::format("'{}' is not the name of an errno{}", printable(*text),
                                   suggest(*text, kUsual)));
  if (*err == EINTR || *err == EAGAIN)
    return field.wrong(fmt::format("{} would make the caller try again for ever", *text));
  into.err = *err;
  return {};
}

constexpr std::array kReaction{Key<Reaction>{"errno", read_errno}};

Status read_reaction(const Field& field, Document& into) {
  Reaction reaction;
  if (field.is(Node::Kind::Map)) {
    if (auto ok = read_keys(field, kReaction, reaction); !ok) return ok;
    if (field.node().items.empty()) return field.wrong("'errno' is missing");
  } else {
    if (auto ok = field.need(Node::Kind::Scalar, "{errno: NAME}, kill, quarantine or terminate");
        !ok)
      return ok;
    const std::string& word = field.node().text;
    constexpr std::array<std::string_view, 4> kWords{"kill", "quarantine", "terminate",
                                                     "{errno: EACCES}"};
    constexpr std::array kKinds{Reaction::Kind::Kill, Reaction::Kind::Quarantine,
                                Reaction::Kind::Terminate};
    const auto at = static_cast<std::size_t>(std::ranges::find(kWords, word) - kWords.begin());
    if (at >= kKinds.size()) return field.wrong(not_one_of(word, kWords));
    reaction.kind = kKinds[at];
  }
  into.on_violation = reaction;
  return {};
}

Result<std::vector<std::string>> read_places(const Field& field) {
  auto places = field.texts();
  if (!places) return places;
  if (places->size() > kMaxPlaces)
    return field.wrong(fmt::format("{} places; at most {}", places->size(), kMaxPlaces));
  for (std::size_t i = 0; i < places->size(); ++i) {
    if (i == 0 && places->front() == "+") continue;
    if (auto ok = check_path((*places)[i], false); !ok) return field.item(i).wrong(ok.error().what);
    if (normal_path((*places)[i]) == "/") return field.item(i).wrong("'/' cannot be one place");
  }
  return places;
}

Status read_models(const Field& field, Document& into) {
  auto places = read_places(field);
  if (!places) return fail(std::move(places.error()));
  into.models = std::move(*places);
  return {};
}

Status read_scratch(const Field& field, Document& into) {
  auto places = read_places(field);
  if (!places) return fail(std::move(places.error()));
  into.scratch = std::move(*places);
  return {};
}

Status read_purpose(const Field& field, Document& into) {
  auto text = field.text();
  if (!text) return fail(std::move(text.error()));
  if (text->size() > kMaxPurpose || text->find('\n') != std::string::npos)
    return field.wrong(fmt::format("must be one line of at most {} bytes", kMaxPurpose));
  into.purpose = std::move(*text);
  return {};
}

constexpr std::array kSpec{
    Key<Document>{"extends", read_extends},      Key<Document>{"mode", read_mode},
    Key<Document>{"onViolation", read_reaction}, Key<Document>{"models", read_models},
    Key<Document>{"scratch", read_scratch},      Key<Document>{"sessions", read_sessions},
    Key<Document>{"purpose", read_purpose},      Key<Document>{"transitions", read_transitions},
    Key<Document>{"phases", read_phases},
};

}  // namespace

Status read_spec(const Field& field, Document& into) {
  return read_keys(field, kSpec, into);
}

}  // namespace moat::policies
