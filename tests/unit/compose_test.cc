#include "policies/compose.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "policies/builtin.h"
#include "policies/objects.h"

namespace moat::policies {
namespace {

using Texts = std::vector<std::string>;

Document parsed(const std::string& name, const std::string& spec) {
  auto document = parse_document(
      "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\n"
      "metadata: {name: " +
          name + "}\nspec: " + spec + "\n",
      name);
  EXPECT_TRUE(document) << document.error().what;
  return document ? *document : Document{};
}

// Profiles by name, as their `spec`.
FindProfile among(const std::map<std::string, std::string>& specs) {
  return [specs](std::string_view name) -> Result<Document> {
    const auto spec = specs.find(std::string(name));
    if (spec == specs.end()) return fail(Code::NotFound, "no " + std::string(name));
    return parsed(spec->first, spec->second);
  };
}

Document composed(const std::string& spec, const std::map<std::string, std::string>& profiles) {
  auto document = compose(parsed("t", spec), among(profiles));
  EXPECT_TRUE(document) << document.error().what;
  return document ? *document : Document{};
}

const ActionRule& rule(const Document& document, Phase phase, Action action) {
  return *document.phases[static_cast<std::size_t>(phase)]->of(action);
}

TEST(Compose, InheritsWhatTheDocumentLeavesUnsaid) {
  const Document document =
      composed("{extends: [p], mode: enforce, phases: {load: {process: {create: false}}}}",
               {{"p",
                 "{purpose: base, mode: audit, sessions: deny, models: [/m], scratch: [/s], "
                 "onViolation: kill, transitions: {load: {on: {open: models}}}, "
                 "phases: {load: {process: {create: true, thread: true}}, serve: {system: {info: "
                 "true}}}}"}});
  EXPECT_EQ(document.name, "t");
  EXPECT_EQ(document.purpose, "base");
  EXPECT_TRUE(document.extends.empty()) << "composed once is composed";
  EXPECT_EQ(document.mode, Mode::Enforce);
  EXPECT_EQ(document.sessions, Sessions::Deny);
  EXPECT_EQ(document.on_violation->kind, Reaction::Kind::Kill);
  EXPECT_EQ(document.models, Texts{"/m"});
  EXPECT_TRUE(document.transitions[static_cast<std::size_t>(Phase::Load)]);
  EXPECT_FALSE(rule(document, Phase::Load, Action::ProcessCreate).allowed);
  EXPECT_TRUE(rule(document, Phase::Load, Action::ProcessThread).allowed);
  EXPECT_TRUE(rule(document, Phase::Serve, Action::SystemInfo).allowed);
}

TEST(Compose, ReplacesAListOrAddsToIt) {
  const std::map<std::string, std::string> base = {
      {"p",
       "{scratch: [/tmp], phases: {load: {filesystem: {read: [/a, /b]}, network: {access: "
       "{allow: ['@listen'], quiet: ['@resolver']}}}}}"}};
  const auto read = [&](const std::string& list) {
    return rule(
               composed("{extends: [p], phases: {load: {filesystem: {read: " + list + "}}}}", base),
               Phase::Load, Action::FilesystemRead)
        .objects;
  };
  EXPECT_EQ(read("[/c]"), Texts{"/c"});
  EXPECT_EQ(read("[]"), Texts{});
  EXPECT_EQ(read("['+']"), (Texts{"/a", "/b"}));
  EXPECT_EQ(read("['+', /c, /a]"), (Texts{"/a", "/b", "/c"})) << "nothing twice";
  const auto network = [&](const std::string& list) {
    return rule(composed("{extends: [p], phases: {load: {network: {access: " + list + "}}}}", base),
                Phase::Load, Action::NetworkAccess);
  };
  EXPECT_EQ(network("['+', 10.0.0.1]"),
            (ActionRule{false, {"@listen", "10.0.0.1"}, {"@resolver"}}));
  EXPECT_EQ(network("[10.0.0.1]"), (ActionRule{false, {"10.0.0.1"}, {}}));
  EXPECT_EQ(network("{allow: ['+'], quiet: ['unix:/x']}"),
            (ActionRule{false, {"@listen"}, {"@resolver", "unix:/x"}}));
  EXPECT_EQ(composed("{extends: [p], scratch: ['+', /var]}", base).scratch,
            (Texts{"/tmp", "/var"}));
  EXPECT_EQ(composed("{extends: [p], scratch: [/var]}", base).scratch, Texts{"/var"});
  EXPECT_EQ(composed("{scratch: ['+', /var]}", {}).scratch, Texts{"/var"}) << "nothing to add to";
}

TEST(Compose, LetsTheLeftmostProfileWin) {
  const Document document =
      composed("{extends: [a, b]}", {{"a", "{mode: enforce, models: ['+', /a]}"},
                                     {"b", "{mode: audit, sessions: deny, models: [/b]}"}});
  EXPECT_EQ(document.mode, Mode::Enforce);
  EXPECT_EQ(document.sessions, Sessions::Deny);
  EXPECT_EQ(document.models, (Texts{"/b", "/a"}));
}

// Both extend c: were c laid a second time, between b and a, it would undo what b says.
TEST(Compose, LaysASharedProfileOnce) {
  const Document document = composed(
      "{extends: [a, b]}",
      {{"a", "{extends: [c]}"}, {"b", "{extends: [c], mode: enforce}"}, {"c", "{mode: audit}"}});
  EXPECT_EQ(document.mode, Mode::Enforce);
}

TEST(Compose, RefusesLoopsStrangersAndTowers) {
  const auto error = [](const std::string& spec, const std::map<std::string, std::string>& specs) {
    const auto document = compose(parsed("t", spec), among(specs));
    return document ? "no error" : document.error().what;
  };
  EXPECT_EQ(error("{extends: [a]}", {{"a", "{extends: [a]}"}}),
            "policy 't': extends: 'a' extends itself (a -> a)");
  EXPECT_EQ(error("{extends: [a]}", {{"a", "{extends: [b]}"}, {"b", "{extends: [a]}"}}),
            "policy 't': extends: 'a' extends itself (a -> b -> a)");
  EXPECT_EQ(error("{extends: [x]}", {}), "policy 't': extends: no x");
  std::map<std::string, std::string> tower;
  for (int i = 0; i < 20; ++i)
    tower["p" + std::to_string(i)] = "{extends: [p" + std::to_string(i + 1) + "]}";
  EXPECT_TRUE(error("{extends: [p0]}", tower).find("deeper than 8") != std::string::npos);
  std::map<std::string, std::string> wide;
  std::string names;
  for (int i = 0; i < 15; ++i) {
    const std::string n = std::to_string(i);
    names += (i == 0 ? "w" : ", w") + n;
    wide["w" + n] = "{extends: [x" + n + ", y" + n + "]}";
    wide["x" + n] = wide["y" + n] = "{}";
  }
  EXPECT_TRUE(error("{extends: [" + names + "]}", wide).find("more than 32") != std::string::npos);
}

TEST(Compose, NamesTheNearestBuiltinProfile) {
  const auto document = compose(parsed("t", "{extends: [builtin/pyhton]}"));
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().code, Code::NotFound);
  EXPECT_EQ(document.error().what,
            "policy 't': extends: unknown profile 'builtin/pyhton'; did you mean "
            "'builtin/python'?");
}

TEST(Builtin, EveryProfileComposesAndHasAPurpose) {
  ASSERT_FALSE(builtin_profiles().empty());
  for (const BuiltinProfile& profile : builtin_profiles()) {
    const auto document = builtin_document(profile.name);
    ASSERT_TRUE(document) << document.error().what;
    EXPECT_EQ(document->name, profile.name);
    EXPECT_FALSE(document->purpose.empty()) << profile.name;
  }
  EXPECT_TRUE(builtin_document("python")) << "the short name means the same";
  const auto none = builtin_document("zebra");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().what, "unknown profile 'builtin/zebra'; valid: builtin/python");
}

// Documents of every shape the language has.
class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  Document make() {
    Document document;
    document.name = "n" + std::to_string(pick(1000));
    if (chance()) document.purpose = "p \"ü\" \\ \t";
    if (chance()) document.extends = {"builtin/python", "x"};
    if (chance()) document.mode = static_cast<Mode>(pick(4));
    if (chance()) document.on_violation = reaction();
    if (chance()) document.sessions = static_cast<Sessions>(pick(3));
    if (chance()) document.models = {"+", "~/m", "/a b"};
    if (chance()) document.scratch = {"/tmp"};
    for (Phase phase : kPhases) {
      const auto i = static_cast<std::size_t>(phase);
      if (phase != Phase::Init && chance()) document.transitions[i] = trigger(phase);
      if (chance()) document.phases[i] = rules();
    }
    return document;
  }

 private:
  unsigned pick(unsigned n) { return static_cast<unsigned>(random_()) % n; }
  bool chance() { return pick(2) == 0; }
  std::chrono::milliseconds time() { return std::chrono::milliseconds(pick(100'000)); }

  Reaction reaction() {
    Reaction reaction;
    reaction.kind = static_cast<Reaction::Kind>(pick(3));
    if (reaction.kind == Reaction::Kind::Errno) reaction.err = chance() ? EPERM : ENOENT;
    return reaction;
  }
  Trigger trigger(Phase phase) {
    Trigger trigger;
    if (chance()) trigger.timeout = time();
    if (phase == Phase::Shutdown) {
      trigger.signal = 15;
      return trigger;
    }
    trigger.open_models = true;
    trigger.settle = time();
    if (phase == Phase::Reload) trigger.window = time();
    if (phase == Phase::Reload || phase == Phase::Load) return trigger;
    if (chance()) trigger.quiet = time();
    trigger.listen = chance();
    if (trigger.listen && chance()) trigger.listen_ports = {80, 65535};
    return trigger;
  }
  PhaseRules rules() {
    PhaseRules rules;
    for (Action action : kActions) {
      if (chance()) continue;
      ActionRule rule;
      const bool network = action == Action::NetworkAccess;
      if (!takes_objects(action)) {
        rule.allowed = chance();
      } else if (chance()) {
        rule.objects = network ? Texts{"+", "*", "[::1]:80"} : Texts{"+", "@image", "/a/**"};
      }
      if (takes_objects(action) && action != Action::DeviceAccess &&
          action != Action::FilesystemExec && chance())
        rule.quiet = network ? Texts{"@resolver", "unix:/x"} : Texts{"@models"};
      rules.of(action) = rule;
    }
    return rules;
  }

  std::mt19937 random_;
};

TEST(ToJson, ReadsBackAsTheSameDocument) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    const Document document = Maker(seed).make();
    const std::string json = to_json(document);
    const auto again = parse_document(json, "j");
    ASSERT_TRUE(again) << again.error().what << "\n" << json;
    ASSERT_EQ(*again, document) << json;
    ASSERT_EQ(to_json(*again), json);
  }
}

TEST(ToJson, IsCanonical) {
  EXPECT_EQ(to_json(parsed("t", "{sessions: deny, mode: off, models: []}")),
            R"({"apiVersion":"moat.dev/v1alpha1","kind":"LifecyclePolicy","metadata":{"name":"t"},)"
            R"("spec":{"mode":"off","sessions":"deny"}})");
}

TEST(ToJson, SurvivesBytesThatAreNoText) {
  Document document;
  document.name = "t";
  document.purpose = "\xff\xfe";
  EXPECT_NE(to_json(document).find("\xEF\xBF\xBD"), std::string::npos);
}

}  // namespace
}  // namespace moat::policies
