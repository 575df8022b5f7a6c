// Network calls where the kernel's programs hold a phase to its addresses.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "policies/decide.h"
#include "tests/support/policies.h"

namespace moat::policies {
namespace {

// And what registers refuse all the same.
TEST(DecideNetwork, LetsThroughWhatTheKernelHolds) {
  const Policy named = test::policy_from(R"(
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: t}
spec:
  phases:
    init: {network: {access: ["*"]}}
    load: {network: {access: ["10.0.0.0/8:443"]}}
    serve: {network: {access: ["unix:*"]}}
)");
  struct Row {
    const char* call;
    std::array<std::uint64_t, 6> args;
    const char* address;
    bool load, serve;
  };
  for (const Row& row : {
           Row{"connect", {3}, "10.0.0.1:443", true, false},
           Row{"connect", {3}, "192.0.2.1:443", true, false},
           Row{"connect", {3}, "unix:/run/docker.sock", false, true},
           Row{"connect", {3}, nullptr, false, false},
           Row{"sendto", {3, 1, 1, 0, 1, 16}, "10.0.0.1:443", true, false},
           Row{"sendmsg", {3, 1, 0x20000000}, nullptr, false, false},
           Row{"socket", {AF_INET, SOCK_STREAM}, nullptr, true, false},
           Row{"socket", {AF_INET6, SOCK_DGRAM, 17}, nullptr, true, false},
           Row{"socket", {AF_INET, SOCK_DGRAM, 1}, nullptr, false, false},
           Row{"socket", {AF_INET, SOCK_RAW, 6}, nullptr, false, false},
           Row{"socket", {AF_INET, SOCK_STREAM, 132}, nullptr, false, false},
           Row{"socket", {AF_UNIX, SOCK_DGRAM}, nullptr, false, true},
           Row{"listen", {3}, nullptr, false, false},
       }) {
    CallFacts facts;
    facts.call = find_syscall(row.call);
    facts.args = row.args;
    if (row.address != nullptr) facts.claimed_address = row.address;
    facts.kernel_holds = true;
    SCOPED_TRACE(std::string(row.call) + " " + (row.address != nullptr ? row.address : ""));
    EXPECT_EQ(decide(named, Phase::Load, facts).allowed, row.load);
    EXPECT_EQ(decide(named, Phase::Serve, facts).allowed, row.serve);
    facts.kernel_holds = false;
    const bool unix_class = facts.call->name == "socket" && row.args[0] == AF_UNIX;
    EXPECT_FALSE(decide(named, Phase::Load, facts).allowed) << "without the programs";
    EXPECT_EQ(decide(named, Phase::Serve, facts).allowed, unix_class);
  }
}

TEST(DecideNetwork, LetsNamesOfUnixSocketsThroughWhereTheKernelComparesThem) {
  const Policy policy = test::policy_from(R"(
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: t}
spec:
  phases:
    init: {network: {access: ["*"]}}
    load: {network: {access: ["unix:/run/log.sock"]}}
)");
  for (const bool named : {true, false}) {
    CallFacts facts;
    facts.kernel_holds = true;
    facts.kernel_names_unix = named;
    for (const char* call : {"socket", "socketpair"})
      for (const std::uint64_t type : {SOCK_DGRAM, SOCK_RAW}) {
        facts.call = find_syscall(call);
        facts.args = {AF_UNIX, type};
        EXPECT_EQ(decide(policy, Phase::Load, facts).allowed, named) << call << " " << type;
        EXPECT_FALSE(decide(policy, Phase::Serve, facts).allowed) << call << " " << type;
      }
    facts.call = find_syscall("connect");
    facts.args = {3};
    for (const char* claimed : {"unix:/run/log.sock", "unix:/run/docker.sock"}) {
      facts.claimed_address = claimed;  // whichever: the kernel has the last word
      EXPECT_EQ(decide(policy, Phase::Load, facts).allowed, named) << claimed;
      EXPECT_FALSE(decide(policy, Phase::Serve, facts).allowed);
    }
    facts.claimed_address = "10.0.0.1:80";
    EXPECT_FALSE(decide(policy, Phase::Load, facts).allowed);
  }
}

// Both: otherwise a claim of the other kind would have to be told from what is held.
TEST(DecideNetwork, ReadsNoClaimWhereTheKernelHoldsAddressesAndNames) {
  const Policy policy = test::policy_from(R"(
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: t}
spec:
  phases:
    init: {network: {access: ["*"]}}
    load: {network: {access: ["10.0.0.0/8:443", "unix:/run/log.sock"]}}
    warmup: {network: {access: ["unix:/run/log.sock"]}}
    serve: {network: {access: ["10.0.0.0/8:443", "unix:*"]}}
)");
  for (const bool holds : {true, false})
    for (const bool named : {true, false}) {
      CallFacts facts;
      facts.call = find_syscall("connect");
      facts.args = {3};
      facts.kernel_holds = holds;
      facts.kernel_names_unix = named;
      EXPECT_EQ(decide(policy, Phase::Load, facts).allowed, holds && named);
      EXPECT_FALSE(decide(policy, Phase::Warmup, facts).allowed);
      EXPECT_EQ(decide(policy, Phase::Serve, facts).allowed, holds);
    }
}

TEST(DecideNetwork, ARefusedNameServerIsNoViolation) {
  const Policy policy = test::builtin_policy("builtin/python");
  const Decision server = refused_address(policy, Phase::Load, "10.0.0.1:53");
  EXPECT_TRUE(server.quiet);
  const Decision other = refused_address(policy, Phase::Load, "10.0.0.1:80");
  EXPECT_FALSE(other.quiet || other.allowed);
  EXPECT_EQ(other.rule, "load.network.access");
  EXPECT_EQ(other.err, EPERM);
}

}  // namespace
}  // namespace moat::policies
