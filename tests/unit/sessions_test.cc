// The boundary of sessions: how it is written, inherited, and what it decides.
#include <gtest/gtest.h>

#include "policies/compile.h"
#include "policies/compose.h"
#include "policies/decide.h"
#include "tests/support/policies.h"
#include "tests/support/policy_text.h"

namespace moat::policies {
namespace {

using test::with_spec;

Document parsed(const std::string& lines) {
  auto document = parse_document(with_spec(lines), "p.yaml");
  EXPECT_TRUE(document) << (document ? "" : document.error().what);
  return document.value_or(Document{});
}

TEST(SessionBoundary, IsReadWithItsVerdict) {
  const Document document = parsed(
      "  sessions: {verdict: audit, boundary: {filesystem: {read: [/etc/hosts]}, process: {create: "
      "true}}}\n");
  EXPECT_EQ(document.sessions, Sessions::Audit);
  ASSERT_TRUE(document.session_rules);
  EXPECT_EQ(document.session_rules->of(Action::FilesystemRead)->objects,
            std::vector<std::string>{"/etc/hosts"});
  EXPECT_TRUE(document.session_rules->of(Action::ProcessCreate)->allowed);
}

TEST(SessionBoundary, RefusesWhatItDoesNotGiveUnlessItSaysOtherwise) {
  EXPECT_EQ(parsed("  sessions: {boundary: {}}\n").sessions, Sessions::Deny);
}

TEST(SessionBoundary, AWordAloneIsWhatItWas) {
  const Document document = parsed("  sessions: deny\n");
  EXPECT_EQ(document.sessions, Sessions::Deny);
  EXPECT_FALSE(document.session_rules);
}

TEST(SessionBoundary, ErrorsNameThePlace) {
  test::expect_errors({
      {with_spec("  sessions: {verdict: deny}\n"),
       "p.yaml:5:13: spec.sessions: 'boundary' is missing (without one write the verdict alone)"},
      {with_spec("  sessions: {verdict: allow, boundary: {}}\n"),
       "p.yaml:5:13: spec.sessions: 'allow' with a boundary would mean nothing; audit or deny"},
      {with_spec("  sessions: {verdict: denied, boundary: {}}\n"),
       "p.yaml:5:23: spec.sessions.verdict: 'denied' is not one of allow, audit, deny"},
      {with_spec("  sessions: {boundary: {proces: {create: true}}}\n"),
       "p.yaml:5:25: spec.sessions.boundary: unknown key 'proces'…"},
      {with_spec("  sessions: {limits: {}}\n"),
       "p.yaml:5:14: spec.sessions: unknown key 'limits'…"},
  });
}

TEST(SessionBoundary, ComesBackFromItsCanonicalText) {
  const Document document = parsed(
      "  sessions: {verdict: audit, boundary: {process: {exec: [/bin/cat], create: false}}}\n");
  const auto back = parse_document(to_json(document), "json");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(*back, document);
}

constexpr const char* kHeld =
    "  extends: [builtin/python]\n"
    "  sessions: {boundary: {filesystem: {read: [/etc/**]}, process: {exec: [/bin/cat], create: "
    "false}}}\n";

Policy held() {
  auto composed = compose(parsed(kHeld));
  EXPECT_TRUE(composed);
  auto policy = Policy::bind(*composed, {});
  EXPECT_TRUE(policy);
  return std::move(*policy);
}

bool may_open(const Policy& policy, const char* path, bool exec = false) {
  return decide_session(policy, OpenFacts{path, exec}).allowed;
}

TEST(SessionBoundary, DecidesInsteadOfThePhases) {
  const Policy policy = held();
  EXPECT_TRUE(may_open(policy, "/etc/shadow"));
  EXPECT_FALSE(decide(policy, Phase::Serve, OpenFacts{"/etc/shadow", false}).allowed);
  EXPECT_FALSE(may_open(policy, "/models/model.bin"));
  EXPECT_TRUE(decide(policy, Phase::Serve, OpenFacts{"/models/model.bin", false}).allowed);
  EXPECT_TRUE(may_open(policy, "/bin/cat", true));
  EXPECT_FALSE(may_open(policy, "/bin/sh", true));
  CallFacts fork;
  fork.call = find_syscall("fork");
  EXPECT_FALSE(decide_session(policy, fork).allowed);
  EXPECT_EQ(decide_session(policy, fork).rule, "sessions.process.create");
}

// What the filter lets through nobody is asked about any more.
TEST(SessionBoundary, IsPartOfWhatTheFilterAsksAbout) {
  const auto treatment_of_fork = [](const Policy& policy) {
    for (const CallPlan& plan : compile(policy, Mode::Enforce))
      if (plan.call->name == "fork") return plan.rest;
    return Treatment::Refuse;
  };
  const std::string everywhere =
      "  extends: [builtin/python]\n"
      "  phases: {shutdown: {process: {create: true}}, train: {process: {create: true}}}\n";
  auto without = Policy::bind(*compose(parsed(everywhere)), {});
  ASSERT_TRUE(without);
  EXPECT_EQ(treatment_of_fork(*without), Treatment::Allow);
  auto with = Policy::bind(
      *compose(parsed(everywhere + "  sessions: {boundary: {process: {create: false}}}\n")), {});
  ASSERT_TRUE(with);
  EXPECT_EQ(treatment_of_fork(*with), Treatment::Notify);
}

TEST(SessionBoundary, KeepsOpensAskedAboutThatNoPhaseTellsApart) {
  const std::string wide =
      "  extends: [builtin/python]\n"
      "  phases: {serve: {filesystem: {read: [\"/**\"]}, process: {exec: [\"/**\"]}}}\n";
  auto without = Policy::bind(*compose(parsed(wide)), {});
  ASSERT_TRUE(without);
  EXPECT_FALSE(tells_opens_apart(*without, Phase::Serve));
  EXPECT_TRUE(tells_opens_apart(*without, Phase::Load));
  auto with = Policy::bind(*compose(parsed(wide + "  sessions: {boundary: {}}\n")), {});
  ASSERT_TRUE(with);
  EXPECT_TRUE(tells_opens_apart(*with, Phase::Serve));
}

FindProfile profile(const std::string& lines) {
  return [lines](std::string_view) -> Result<Document> { return parsed(lines); };
}

TEST(SessionBoundary, IsInheritedActionByActionAndEndedByAWord) {
  const auto find =
      profile("  sessions: {boundary: {filesystem: {read: [/a]}, process: {exec: [/bin/cat]}}}\n");
  const auto kept = compose(parsed("  extends: [base]\n"), find);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->session_rules);
  const auto more = compose(
      parsed("  extends: [base]\n  sessions: {boundary: {filesystem: {read: [\"+\", /b]}}}\n"),
      find);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->session_rules->of(Action::FilesystemRead)->objects,
            (std::vector<std::string>{"/a", "/b"}));
  EXPECT_TRUE(more->session_rules->of(Action::ProcessExec));
  const auto ended = compose(parsed("  extends: [base]\n  sessions: allow\n"), find);
  ASSERT_TRUE(ended);
  EXPECT_FALSE(ended->session_rules);
}

}  // namespace
}  // namespace moat::policies
