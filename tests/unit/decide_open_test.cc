#include <gtest/gtest.h>

#include "policies/decide.h"
#include "tests/support/policies.h"

namespace moat::policies {
namespace {

const char* const kText = R"(
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: t}
spec:
  extends: [builtin/python]
  phases:
    init:
      filesystem: {read: ["/**"], exec: ["/lib/**"]}
      process: {exec: ["/usr/bin/*"]}
    load:
      filesystem:
        read: {allow: ["/models/**"], quiet: ["/etc/hush"]}
        modify: ["/tmp/**"]
        exec: ["/lib/**"]
      device: {access: ["/dev/null"]}
      process: {exec: {allow: [], quiet: ["/usr/bin/uname"]}}
)";

constexpr Phase kLoad = Phase::Load;

std::string said(const Decision& decision) {
  if (decision.allowed) return "yes";
  return decision.quiet ? "quiet " + std::to_string(decision.err) : "no " + decision.rule;
}

struct Open {
  const char* path;
  bool exec;
  Phase phase;
  const char* expected;
  bool interpreter = false;
};

class DecideOpen : public testing::TestWithParam<Open> {};

TEST_P(DecideOpen, SaysWhatTheBoundarySays) {
  static const Policy kPolicy = test::policy_from(kText);
  const Open& one = GetParam();
  EXPECT_EQ(said(decide(kPolicy, one.phase, OpenFacts{one.path, one.exec, one.interpreter})),
            one.expected)
      << one.path;
}

INSTANTIATE_TEST_SUITE_P(
    Reads, DecideOpen,
    testing::Values(Open{"/models/a.pkl", false, kLoad, "yes"},
                    Open{"/root/.ssh/id_rsa", false, kLoad, "no load.filesystem.read"},
                    Open{"/etc/hush", false, kLoad, "quiet 13"},
                    Open{"/tmp/mine", false, kLoad, "yes"},
                    Open{"/lib/libc.so.6", false, kLoad, "yes"},
                    Open{"/dev/null", false, kLoad, "yes"},
                    Open{"/models/../etc/shadow", false, kLoad, "no load.filesystem.read"},
                    Open{"/usr/bin/env", false, Phase::Init, "yes"}));

INSTANTIATE_TEST_SUITE_P(
    Programs, DecideOpen,
    testing::Values(Open{"/usr/bin/env", true, Phase::Init, "yes"},
                    Open{"/tmp/dropped", true, Phase::Init, "no init.process.exec"},
                    // The kernel opens the loader of an allowed program with an exec event, too.
                    Open{"/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", true, Phase::Init, "yes",
                         true},
                    Open{"/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", true, Phase::Init,
                         "no init.process.exec"},
                    Open{"/tmp/ld-linux.so.2", true, Phase::Init, "no init.process.exec", true},
                    Open{"/lib/libc.so.6", true, Phase::Init, "no init.process.exec", true},
                    Open{"/lib/libc.so.6", true, Phase::Init, "no init.process.exec"},
                    Open{"/lib/ld-linux.so.2", true, kLoad, "no load.process.exec"},
                    Open{"/usr/bin/uname", true, kLoad, "quiet 2"},
                    Open{"/bin/sh", true, kLoad, "no load.process.exec"}));

}  // namespace
}  // namespace moat::policies
