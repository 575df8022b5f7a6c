#include "shim/ctl/lint.h"

#include <gtest/gtest.h>

namespace moat::shim::ctl {
namespace {

std::string policy(const std::string& spec) {
  return "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: p}\nspec:\n" +
         spec;
}

TEST(Lint, AGoodPolicyHasNoFindings) {
  EXPECT_TRUE(lint(policy("  extends: [builtin/python]\n")).empty());
}

struct Case {
  std::string text;
  std::size_t line, column;
  std::string part;
};

TEST(Lint, ErrorsNameTheirPlaceAndTheWayOut) {
  for (const Case& c : {
           Case{policy("  extends: [builtin/python]\n  mdoe: audit\n"), 6, 3, "mode"},
           Case{policy("  extends: [builtin/pyton]\n"), 5, 12, "builtin/python"},
           Case{policy("  mode: audit\n"), 5, 3, "init"},
           Case{policy("  extends: [builtin/python]\n  models: [/]\n"), 6, 12, "one place"},
           Case{"{\"apiVersion\": 1", 1, 0, ""},
           Case{"", 1, 1, "no policy"},
       }) {
    const auto findings = lint(c.text);
    ASSERT_EQ(findings.size(), 1U) << c.text;
    EXPECT_EQ(findings[0].severity, Severity::Error);
    EXPECT_EQ(findings[0].line, c.line) << findings[0].message;
    if (c.column != 0) {
      EXPECT_EQ(findings[0].column, c.column) << findings[0].message;
    }
    EXPECT_NE(findings[0].message.find(c.part), std::string::npos) << findings[0].message;
  }
}

TEST(Lint, WordsWithoutEffectAreNoted) {
  const auto findings =
      lint(policy("  extends: [builtin/python]\n"
                  "  transitions: {reload: {on: {open: models}}}\n"
                  "  phases:\n"
                  "    serve:\n"
                  "      network: {access: [\"@listen\", \"10.0.0.0/8:443\", \"unix:*\",\n"
                  "        \"[fd00::/8]:443\", \"hub.example:443\", \"unix:/run/*.sock\",\n"
                  "        \"unix:/run/log.sock\", \"unix:/srv/app/**\", \"unix:@name\"]}\n"));
  ASSERT_EQ(findings.size(), 3U);
  for (const Finding& finding : findings) EXPECT_EQ(finding.severity, Severity::Note);
  EXPECT_EQ(findings[0].line, 6U);
  EXPECT_NE(findings[0].message.find("reload"), std::string::npos);
  for (const std::size_t i : {1U, 2U}) EXPECT_EQ(findings[i].line, 10U);
  EXPECT_NE(findings[1].message.find("hub.example:443"), std::string::npos);
  EXPECT_NE(findings[2].message.find("by its folder"), std::string::npos);
}

TEST(Lint, AUnixSocketWhereTheWorkloadWritesIsAnError) {
  for (const char* name : {"unix:/tmp/log.sock", "unix:/tmp/**", "unix:/**", "unix:/models/a",
                           "unix:/proc/1/root/run/log.sock", "unix:~/.cache/x", "unix:/var/**"}) {
    const auto findings =
        lint(policy(std::string("  extends: [builtin/python]\n  phases:\n    serve:\n"
                                "      network: {access: [\"") +
                    name + "\"]}\n"));
    ASSERT_EQ(findings.size(), 1U) << name;
    EXPECT_EQ(findings[0].severity, Severity::Error);
    EXPECT_NE(findings[0].message.find("it may write to"), std::string::npos)
        << findings[0].message;
  }
}

TEST(Lint, EveryDocumentOfAFileIsChecked) {
  const std::string good = policy("  extends: [builtin/python]\n");
  const auto findings = lint(good + "---\n" + policy("  extends: [builtin/none]\n"));
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].line, 11U);
}

TEST(Lint, NoiseIsAnErrorNotACrash) {
  for (const std::string& noise :
       {std::string("\0\xff", 2), std::string(100, '['), std::string("a: &a [*a]"),
        std::string("- - - -\n\t"), std::string((1U << 20) + 1, ' ')}) {
    const auto findings = lint(noise);
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings[0].severity, Severity::Error);
  }
}

}  // namespace
}  // namespace moat::shim::ctl
