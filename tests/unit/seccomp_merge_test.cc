#include <gtest/gtest.h>

#include <algorithm>

#include "oci/rewrite.h"
#include "tests/support/profiles.h"

namespace moat::oci {
namespace {

using nlohmann::json;
using policies::find_syscall;
using policies::Treatment;

RewriteInput input_with(std::vector<policies::CallPlan> plan) {
  RewriteInput input;
  input.plan = std::move(plan);
  input.listener_path = "/run/moat/c1/listener.sock";
  input.listener_metadata = "c1";
  return input;
}

policies::CallPlan notify(const char* name) {
  return {find_syscall(name), Treatment::Allow, Treatment::Notify};
}

// What its row bars; all of it, for most of these.
policies::CallPlan refuse(const char* name) {
  return {find_syscall(name), Treatment::Refuse, Treatment::Allow};
}

policies::CallPlan both(const char* name) {
  return {find_syscall(name), Treatment::Refuse, Treatment::Notify};
}

json merged(const char* seccomp, std::vector<policies::CallPlan> plan) {
  json section{{"seccomp", json::parse(seccomp)}};
  const auto ok = merge_seccomp(section, input_with(std::move(plan)));
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().what);
  return section["seccomp"];
}

Error refused(const char* seccomp, std::vector<policies::CallPlan> plan = {}) {
  json section{{"seccomp", json::parse(seccomp)}};
  const json before = section;
  const auto ok = merge_seccomp(section, input_with(std::move(plan)));
  EXPECT_FALSE(ok) << section;
  EXPECT_EQ(section, before) << "a failed merge changes nothing";
  return ok ? Error{} : ok.error();
}

// "ALLOW", "ERRNO 38 when 0 & 7e020000 == 0": every rule a profile has for a call, sorted.
std::vector<std::string> rules(const json& seccomp, const char* name) {
  std::vector<std::string> out;
  for (const json& group : seccomp["syscalls"]) {
    if (std::ranges::count(group["names"], json(name)) == 0) continue;
    std::string text = group["action"].get<std::string>().substr(9);
    if (group.contains("errnoRet")) text += " " + group["errnoRet"].dump();
    for (const json& arg : group.value("args", json::array()))
      text += " " + arg["index"].dump() + arg["op"].get<std::string>().substr(9) + ":" +
              arg["value"].dump() + (arg.contains("valueTwo") ? ":" + arg["valueTwo"].dump() : "");
    out.push_back(text);
  }
  std::ranges::sort(out);
  return out;
}

using Rules = std::vector<std::string>;
constexpr const char* kDeny = R"({"defaultAction": "SCMP_ACT_ALLOW"})";

TEST(Merge, GivesAContainerWithoutAProfileOne) {
  json section;
  ASSERT_TRUE(merge_seccomp(section, input_with({notify("execve"), refuse("bpf")})));
  const json& seccomp = section["seccomp"];
  EXPECT_EQ(seccomp["defaultAction"], "SCMP_ACT_ALLOW");
  EXPECT_EQ(seccomp["architectures"], json({"SCMP_ARCH_X86_64"}));
  EXPECT_EQ(seccomp["listenerPath"], "/run/moat/c1/listener.sock");
  EXPECT_EQ(seccomp["listenerMetadata"], "c1");
  EXPECT_EQ(rules(seccomp, "execve"), Rules{"NOTIFY"});
  EXPECT_EQ(rules(seccomp, "bpf"), Rules{"ERRNO 1"});
}

TEST(Merge, MovesAllowedNamesAndOnlyThose) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["read", "execve", "listen"], "action": "SCMP_ACT_ALLOW"}]})",
                              {notify("execve"), notify("connect"), refuse("bpf")});
  EXPECT_EQ(rules(seccomp, "execve"), Rules{"NOTIFY"});
  EXPECT_EQ(rules(seccomp, "read"), Rules{"ALLOW"});
  EXPECT_EQ(rules(seccomp, "listen"), Rules{"ALLOW"});
  EXPECT_EQ(rules(seccomp, "connect"), Rules{}) << "a no may not become a question";
  EXPECT_EQ(rules(seccomp, "bpf"), Rules{});
}

TEST(Merge, SaysTheErrnoOfARefusalWhereTheDefaultWouldSayAnother) {
  const char* allows = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["clone3", "bpf"], "action": "SCMP_ACT_ALLOW"}]})";
  const json seccomp = merged(allows, {refuse("clone3"), refuse("bpf")});
  EXPECT_EQ(rules(seccomp, "clone3"), Rules{"ERRNO 38"});
  EXPECT_EQ(rules(seccomp, "bpf"), Rules{}) << "EPERM is the default's own";
  const json kills = merged(R"({"defaultAction": "SCMP_ACT_KILL", "syscalls": [
      {"names": ["bpf"], "action": "SCMP_ACT_ALLOW"}]})",
                            {refuse("bpf")});
  EXPECT_EQ(rules(kills, "bpf"), Rules{"ERRNO 1"}) << "a refusal may not turn into a death";
}

TEST(Merge, KeepsTheConditionsOfAllowedCalls) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
      {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]}]})",
                              {notify("socket")});
  EXPECT_EQ(rules(seccomp, "socket"), Rules{"NOTIFY 0NE:40"});
  EXPECT_EQ(rules(seccomp, "personality"), Rules{"ALLOW 0EQ:8"});
}

TEST(Merge, AsksOnlyAboutTheInterestingPart) {
  const json open = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["openat"], "action": "SCMP_ACT_ALLOW"}]})",
                           {notify("openat")});
  EXPECT_EQ(rules(open, "openat"),
            (Rules{"ALLOW 2MASKED_EQ:579:0", "NOTIFY 2MASKED_EQ:1:1", "NOTIFY 2MASKED_EQ:2:2",
                   "NOTIFY 2MASKED_EQ:512:512", "NOTIFY 2MASKED_EQ:64:64"}));
  EXPECT_EQ(rules(merged(kDeny, {notify("openat")}), "openat").size(), 4U) << "none is the default";
  EXPECT_EQ(rules(merged(kDeny, {notify("sendto")}), "sendto"), Rules{"NOTIFY 4NE:0"});
}

TEST(Merge, JoinsTheInterestWithTheProfilesOwnMask) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]})",
                              {notify("clone")});
  EXPECT_EQ(rules(seccomp, "clone"),
            (Rules{"ALLOW 0MASKED_EQ:2114125824:65536", "NOTIFY 0MASKED_EQ:2114125824:0"}))
      << "a new namespace stays refused, a thread stays unasked";
}

TEST(Merge, AsksAboutAllOfItWhereTheInterestCannotBeSaid) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["openat"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 2, "value": 7, "op": "SCMP_CMP_LT"}]}]})",
                              {notify("openat")});
  EXPECT_EQ(rules(seccomp, "openat"), Rules{"NOTIFY 2LT:7"});
}

TEST(Merge, TurnsTheConditionsOfADenyListAround) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["socket"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}]},
      {"names": ["listen"], "action": "SCMP_ACT_ERRNO"}]})",
                              {notify("socket"), notify("listen")});
  EXPECT_EQ(rules(seccomp, "socket"), (Rules{"ERRNO 1 0EQ:38", "NOTIFY 0NE:38"}));
  EXPECT_EQ(rules(seccomp, "listen"), Rules{"ERRNO"}) << "as it came";
}

// Where the profile lets through what is not named, the barred part is named; elsewhere the rest
// is.
TEST(Merge, RefusesOnlyTheBarredPart) {
  const Rules refused = rules(merged(kDeny, {refuse("prctl")}), "prctl");
  EXPECT_EQ(refused,
            (Rules{"ERRNO 1 0MASKED_EQ:4294967295:1499557217", "ERRNO 1 0MASKED_EQ:4294967295:35",
                   "ERRNO 1 0MASKED_EQ:4294967295:62"}));
  const json listed = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["personality"], "action": "SCMP_ACT_ALLOW"}]})",
                             {refuse("personality")});
  const Rules kept = rules(listed, "personality");
  EXPECT_EQ(std::ranges::count_if(kept, [](const auto& rule) { return rule.starts_with("ALLOW"); }),
            2);
  EXPECT_NE(std::ranges::find(kept, "ALLOW 0MASKED_EQ:4294836215:0"), kept.end());
}

TEST(Merge, LeavesTheBarredPartToADefaultThatRefuses) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]}]})",
                              {both("socket")});
  for (const std::string& rule : rules(seccomp, "socket")) {
    EXPECT_EQ(rule.find("NE:40"), std::string::npos) << "as wide as it came: " << rule;
    EXPECT_TRUE(rule.starts_with("NOTIFY") || rule.starts_with("ERRNO 97")) << rule;
  }
  EXPECT_EQ(std::ranges::count(rules(seccomp, "socket"), "NOTIFY 0MASKED_EQ:4294967295:1"), 1);
}

// Refusing conditions beside it cannot be joined with: the supervisor is asked about all the rest.
TEST(Merge, AsksWhereTheBarredPartCannotBeSaid) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["prctl"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 0, "value": 4, "op": "SCMP_CMP_EQ"}]}]})",
                              {refuse("prctl")});
  EXPECT_EQ(rules(seccomp, "prctl"), (Rules{"ERRNO 1 0EQ:4", "NOTIFY 0NE:4"}));
}

TEST(Merge, KeepsACallThatNothingIsWantedOf) {
  EXPECT_EQ(rules(merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["mmap"], "action": "SCMP_ACT_ALLOW"}]})",
                         {{find_syscall("mmap"), Treatment::Allow, Treatment::Allow}}),
                  "mmap"),
            Rules{"ALLOW"});
}

TEST(Merge, NamesEverythingWhereTheDefaultWouldLetThrough) {
  json section{{"seccomp", json::parse(R"({"defaultAction": "SCMP_ACT_LOG", "syscalls": [
      {"names": ["sync"], "action": "SCMP_ACT_ERRNO"},
      {"names": ["getcpu"], "action": "SCMP_ACT_KILL",
       "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]})")}};
  RewriteInput input = input_with({notify("execve"), refuse("bpf"), refuse("clone3")});
  input.known_calls = {"read", "sync", "getcpu", "execve", "bpf", "clone3"};
  ASSERT_TRUE(merge_seccomp(section, input));
  const json& seccomp = section["seccomp"];
  EXPECT_EQ(seccomp["defaultAction"], "SCMP_ACT_ERRNO");
  EXPECT_EQ(seccomp["defaultErrnoRet"], 38) << "as a kernel that does not have the call";
  EXPECT_EQ(rules(seccomp, "read"), Rules{"LOG"});
  EXPECT_EQ(rules(seccomp, "sync"), Rules{"ERRNO"});
  EXPECT_EQ(rules(seccomp, "getcpu"), (Rules{"KILL 0EQ:1", "LOG 0NE:1"}));
  EXPECT_EQ(rules(seccomp, "execve"), Rules{"NOTIFY"});
  EXPECT_EQ(rules(seccomp, "bpf"), Rules{"ERRNO 1"});
  EXPECT_EQ(rules(seccomp, "clone3"), Rules{}) << "the default's own";
}

TEST(Merge, RefusesADenyListItCannotTurnAround) {
  const Error error = refused(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["socket"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_GT"}]},
      {"names": ["socket"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}]}]})",
                              {notify("socket")});
  EXPECT_EQ(error.code, Code::FailedPrecondition);
  EXPECT_NE(error.what.find("'socket'"), std::string::npos) << error.what;
  EXPECT_NE(error.what.find("moat.dev/mode: off"), std::string::npos) << error.what;
}

TEST(Merge, KeepsMasksOf64BitsExactly) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["connect"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1,
       "value": 18446744069414584321, "valueTwo": 18446744069414584321,
       "op": "SCMP_CMP_MASKED_EQ"}]}]})",
                              {notify("connect")});
  EXPECT_EQ(rules(seccomp, "connect"),
            Rules{"NOTIFY 1MASKED_EQ:18446744069414584321:18446744069414584321"});
}

TEST(Merge, KeepsFlagsAndWhatItDoesNotKnow) {
  const json seccomp = merged(
      R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
          "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], "x-new": 1,
          "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]})",
      {});
  EXPECT_EQ(seccomp["flags"], json({"SECCOMP_FILTER_FLAG_SPEC_ALLOW"}));
  EXPECT_EQ(seccomp["x-new"], 1);
  EXPECT_EQ(seccomp["defaultErrnoRet"], 38);
  EXPECT_EQ(seccomp["architectures"], json({"SCMP_ARCH_X86_64"}));
}

TEST(Merge, DropsRulesThatOnlyRepeatTheDefault) {
  const json seccomp = merged(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
      "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"},
                   {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]})",
                              {});
  EXPECT_EQ(rules(seccomp, "acct"), Rules{});
  EXPECT_EQ(rules(seccomp, "read"), Rules{"ALLOW"});
}

TEST(Merge, TakesTheNumbersOfTheOtherArchitecture) {
  json section;
  RewriteInput input = input_with({notify("open"), notify("openat")});
  input.arch = policies::Arch::Arm64;
  ASSERT_TRUE(merge_seccomp(section, input));
  EXPECT_EQ(section["seccomp"]["architectures"], json({"SCMP_ARCH_AARCH64"}));
  EXPECT_EQ(rules(section["seccomp"], "open"), Rules{}) << "arm64 has no open";
  EXPECT_EQ(rules(section["seccomp"], "openat").size(), 4U);
}

TEST(Merge, RefusesASecondSupervisor) {
  const Error path =
      refused(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/other"})");
  EXPECT_EQ(path.code, Code::FailedPrecondition);
  EXPECT_EQ(path.what,
            "linux.seccomp.listenerPath is already set to /run/other; two supervisors cannot share "
            "a container: remove it from the profile or set moat.dev/mode: off");
  EXPECT_EQ(refused(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]})")
                .code,
            Code::FailedPrecondition);
}

TEST(Merge, NeverAsksAboutWrite) {
  for (policies::Arch arch : {policies::Arch::X86_64, policies::Arch::Arm64}) {
    std::vector<policies::CallPlan> plan;
    for (const auto& row : policies::syscalls())
      plan.push_back({&row, Treatment::Notify, Treatment::Notify});
    json section{{"seccomp", test::runtime_default(arch, true)}};
    ASSERT_TRUE(merge_seccomp(section, input_with(plan)));
    EXPECT_EQ(rules(section["seccomp"], "write"), Rules{"ALLOW"}) << "runc would wait for itself";
  }
}

TEST(Merge, LeavesEverythingAloneWhenOff) {
  json section{{"seccomp", {{"listenerPath", "/run/other"}}}};
  const json before = section;
  RewriteInput input = input_with({notify("execve")});
  input.mode = policies::Mode::Off;
  EXPECT_TRUE(merge_seccomp(section, input));
  EXPECT_EQ(section, before);
}

TEST(Merge, NamesThePlaceOfWhatIsWrong) {
  const struct {
    const char* seccomp;
    const char* place;
  } kCases[] = {
      {R"({})", "profile.defaultAction"},
      {R"([])", "linux.seccomp"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}})", "syscalls"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [1]})", "syscalls[0]"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "x"}]})", "syscalls[0].names"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": []}]})", "syscalls[0].action"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG",
          "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}]})",
       "syscalls[0].args[0].index"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG",
          "args": [{"index": 0, "op": "EQ"}]}]})",
       "syscalls[0].args[0].op"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG",
          "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": -1}]}]})",
       "syscalls[0].args[0].value"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG",
          "args": [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 1, "valueTwo": 2}]}]})",
       "syscalls[0].args[0].valueTwo"},
  };
  for (const auto& one : kCases) {
    const Error error = refused(one.seccomp);
    EXPECT_EQ(error.code, Code::InvalidArgument) << one.seccomp;
    EXPECT_NE(error.what.find(one.place), std::string::npos) << error.what;
  }
}

TEST(Merge, RefusesASocketPathTheKernelCannotHold) {
  json section;
  RewriteInput input = input_with({});
  input.listener_path = "/" + std::string(107, 'x');
  EXPECT_EQ(merge_seccomp(section, input).error().code, Code::InvalidArgument);
}

}  // namespace
}  // namespace moat::oci
