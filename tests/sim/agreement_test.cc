// The promise behind the filter: for every call of the table, every phase and every register value
// on an edge, the merged filter followed by decide() says what the policy says, and never more than
// the profile the container came with.
#include <gtest/gtest.h>
#include <linux/seccomp.h>

#include <set>

#include "oci/known_calls.h"
#include "oci/rewrite.h"
#include "policies/decide.h"
#include "tests/support/edges.h"
#include "tests/support/filter.h"
#include "tests/support/policies.h"
#include "tests/support/profiles.h"

namespace moat::test {
namespace {

using nlohmann::json;
using policies::Arch;
using policies::CallFacts;
using policies::Mode;
using policies::Phase;
using policies::SyscallRow;
using policies::Tier;

struct World {
  Arch arch = Arch::X86_64;
  Mode mode = Mode::Enforce;
  const policies::Policy* policy = nullptr;
  Program incoming, merged;
  std::uint32_t fallback = SECCOMP_RET_KILL_PROCESS;  // what the merged filter says to no name
  bool plain = false;                                 // the profile has no refusing conditions
};

json as_it_came(const IncomingProfile& profile) {
  return profile.seccomp.is_null() ? json{{"defaultAction", "SCMP_ACT_ALLOW"}} : profile.seccomp;
}

oci::RewriteInput input_for(const World& world) {
  oci::RewriteInput input;
  input.mode = world.mode;
  input.arch = world.arch;
  input.plan = policies::compile(*world.policy, world.mode);
  if (world.mode == Mode::Enforce) input.known_calls = oci::known_calls(world.arch);
  input.listener_path = "/run/moat/listener";
  input.listener_metadata = "test";
  return input;
}

Result<json> merged_json(const IncomingProfile& profile, const World& world) {
  json section;
  if (!profile.seccomp.is_null()) section["seccomp"] = profile.seccomp;
  if (auto ok = oci::merge_seccomp(section, input_for(world)); !ok)
    return fail(std::move(ok.error()));
  return section["seccomp"];
}

std::uint32_t answer(const Program& program, const World& world, std::int32_t nr,
                     const Args& args) {
  seccomp_data call{nr, audit_arch(world.arch), 0, {}};
  std::copy(args.begin(), args.end(), call.args);
  const auto result = run(program, call);
  EXPECT_TRUE(result) << (result ? "" : result.error().what);
  return result.value_or(SECCOMP_RET_KILL_PROCESS);
}

std::uint32_t fallback_of(const json& seccomp) {
  if (seccomp["defaultAction"] == "SCMP_ACT_ERRNO")
    return SECCOMP_RET_ERRNO | seccomp.value("defaultErrnoRet", 1U);
  return seccomp["defaultAction"] == "SCMP_ACT_KILL" ? SECCOMP_RET_KILL_THREAD : SECCOMP_RET_ALLOW;
}

bool permits(std::uint32_t action) {
  return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

// What could have been read of the caller's memory.
std::vector<CallFacts> claims(const SyscallRow& row, const Args& args) {
  CallFacts plain;
  plain.call = &row;
  plain.args = args;
  std::vector<CallFacts> out{plain};
  out[0].unreadable = true;
  for (const char* path :
       {"/srv/model.bin", "/tmp/x", "/dev/null", "/root/.ssh/id", "/lib/ld-x.so"}) {
    out.push_back(plain);
    out.back().claimed_path = path;
    out.back().claimed_path2 = "/etc/passwd";
    out.back().claimed_address = "127.0.0.1:53";
    out.back().claimed_open_flags = args[2];
  }
  return out;
}

void expect_policy_is_kept(const World& world, const SyscallRow& row, const Args& args,
                           std::uint32_t filter) {
  for (Phase phase : policies::kPhases)
    for (const CallFacts& facts : claims(row, args)) {
      if (phase == Phase::Train && !world.policy->boundary(phase).stated) continue;
      // NOTIFY asks decide() itself; what passes without a question must be what it would allow.
      const auto decision = decide(*world.policy, phase, facts);
      ASSERT_TRUE(decision.allowed || filter == SECCOMP_RET_USER_NOTIF)
          << to_string(phase) << ' ' << decision.rule;
    }
}

// What a row bars is refused without a question, unless the profile's own rules leave the registers
// no name: then the supervisor is asked, and refuses. In no case does it get through.
void expect_barred(const World& world, const SyscallRow& row, const Args& args,
                   std::uint32_t before, std::uint32_t after) {
  if (world.mode != Mode::Enforce) {
    ASSERT_EQ(after, row.name == "clone3" ? before : SECCOMP_RET_USER_NOTIF);
    return;
  }
  CallFacts facts;
  facts.call = &row;
  facts.args = args;
  facts.target = policies::Target::Self;
  const auto decision = decide(*world.policy, Phase::Init, facts);
  ASSERT_TRUE(!decision.allowed || after != SECCOMP_RET_USER_NOTIF);
  const std::uint32_t refusal = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(row.never_errno);
  const bool may_ask = world.plain && row.barred->kind != policies::RegisterSet::Kind::Everything;
  const bool asked = after == SECCOMP_RET_USER_NOTIF && !may_ask;
  ASSERT_TRUE(after == refusal || after == world.fallback || asked) << std::hex << after;
}

void check_row(const World& world, const SyscallRow& row, const json& seccomp) {
  const std::int32_t nr = row.number(world.arch);
  for (const Args& args : vectors_of(row, seccomp)) {
    SCOPED_TRACE(testing::Message() << row.name << std::hex << " 0x" << args[0] << " 0x" << args[1]
                                    << " 0x" << args[2] << " 0x" << args[3] << " 0x" << args[4]);
    const std::uint32_t before = answer(world.incoming, world, nr, args);
    const std::uint32_t after = answer(world.merged, world, nr, args);
    if (!permits(before)) {
      ASSERT_EQ(after, before) << "what the profile refuses stays refused, with the same answer";
    } else if (!libseccomp_knows(row.name)) {
      // runc skips such names; in `enforce` the default refuses them.
      ASSERT_EQ(after, world.mode == Mode::Enforce ? world.fallback : before);
    } else if (row.barred->holds(args)) {
      expect_barred(world, row, args, before, after);
    } else {
      ASSERT_TRUE(permits(after) || after == SECCOMP_RET_USER_NOTIF) << std::hex << after;
      expect_policy_is_kept(world, row, args, after);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
}

void check(World world, const IncomingProfile& profile) {
  SCOPED_TRACE(profile.name);
  const json came = as_it_came(profile);
  auto incoming = build_as_runc(came, world.arch);
  ASSERT_TRUE(incoming) << incoming.error().what;
  auto seccomp = merged_json(profile, world);
  ASSERT_TRUE(seccomp) << seccomp.error().what;
  auto merged = build_as_runc(*seccomp, world.arch);
  ASSERT_TRUE(merged) << merged.error().what;
  world.fallback = fallback_of(*seccomp);
  world.plain = profile.name != "deny list";
  world.incoming = std::move(*incoming);
  world.merged = std::move(*merged);
  for (const SyscallRow& row : policies::syscalls())
    if (row.number(world.arch) >= 0) check_row(world, row, came);
}

class Agreement : public testing::TestWithParam<std::tuple<Arch, Mode, std::string>> {};

TEST_P(Agreement, FilterThenDecideIsThePolicyForEveryProfileAContainerMayBring) {
  const auto& [arch, mode, which] = GetParam();
  const policies::Policy policy = which == "open"     ? open_policy()
                                  : which == "closed" ? closed_policy()
                                                      : builtin_policy("builtin/python");
  for (const IncomingProfile& profile : incoming_profiles(arch)) {
    World world;
    world.arch = arch;
    world.mode = mode;
    world.policy = &policy;
    check(std::move(world), profile);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Agreement,
                         testing::Combine(testing::Values(Arch::X86_64, Arch::Arm64),
                                          testing::Values(Mode::Enforce, Mode::Audit),
                                          testing::Values("open", "closed", "python")),
                         [](const auto& of) {
                           return std::string(std::get<0>(of.param) == Arch::X86_64 ? "x86_64"
                                                                                    : "arm64") +
                                  (std::get<1>(of.param) == Mode::Enforce ? "_enforce_"
                                                                          : "_audit_") +
                                  std::get<2>(of.param);
                         });

struct Merged {
  World world;
  policies::Policy policy;

  Merged(const IncomingProfile& profile, Arch arch,
         policies::Policy whose = builtin_policy("builtin/python"))
      : policy(std::move(whose)) {
    world.arch = arch;
    world.policy = &policy;
    const auto seccomp = merged_json(profile, world);
    EXPECT_TRUE(seccomp) << (seccomp ? "" : seccomp.error().what);
    if (!seccomp) return;
    const auto program = build_as_runc(*seccomp, arch);
    EXPECT_TRUE(program) << (program ? "" : program.error().what);
    if (program) world.merged = *program;
  }
  std::uint32_t ask(const char* name, const Args& args) const {
    return answer(world.merged, world, policies::find_syscall(name)->number(world.arch), args);
  }
};

TEST(ForeignAbi, IsKilledWhateverTheNumber) {
  for (const IncomingProfile& profile : incoming_profiles(Arch::X86_64)) {
    SCOPED_TRACE(profile.name);
    const Merged merged(profile, Arch::X86_64);
    for (int nr : {0, 5, 11, 102, 257, 400}) {
      seccomp_data i386{nr, 0x40000003, 0, {}};
      EXPECT_EQ(run(merged.world.merged, i386).value_or(SECCOMP_RET_ALLOW), SECCOMP_RET_KILL_THREAD)
          << nr;
      seccomp_data x32{nr | 0x40000000, audit_arch(Arch::X86_64), 0, {}};
      EXPECT_EQ(run(merged.world.merged, x32).value_or(SECCOMP_RET_ALLOW), SECCOMP_RET_KILL_THREAD)
          << nr;
      seccomp_data arm{nr, audit_arch(Arch::Arm64), 0, {}};
      EXPECT_EQ(run(merged.world.merged, arm).value_or(SECCOMP_RET_ALLOW), SECCOMP_RET_KILL_THREAD)
          << nr;
    }
  }
}

// What an ordinary server does for each request, and what starts its threads.
TEST(SteadyState, AsksNothing) {
  constexpr std::uint64_t kThread = 0x3d0f00;
  for (Arch arch : {Arch::X86_64, Arch::Arm64})
    for (const char* name : {"none", "RuntimeDefault", "RuntimeDefault with CAP_SYS_ADMIN"}) {
      SCOPED_TRACE(name);
      const auto profiles = incoming_profiles(arch);
      const Merged merged(*std::ranges::find(profiles, name, &IncomingProfile::name), arch);
      EXPECT_EQ(merged.ask("openat", {0, 0, 0x80000}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("openat", {0, 0, 0xabcd000000080000}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("openat", {0, 0, 0x80001}), SECCOMP_RET_USER_NOTIF);
      EXPECT_EQ(merged.ask("clone", {kThread}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("clone", {17}), SECCOMP_RET_USER_NOTIF);
      EXPECT_EQ(merged.ask("sendto", {3, 1, 1, 0x4000, 0, 0}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("sendto", {3, 1, 1, 0, 1, 16}), SECCOMP_RET_USER_NOTIF);
      EXPECT_EQ(merged.ask("sendmsg", {3, 1, 0x4000}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("sendmsg", {3, 1, 0x20000000}), SECCOMP_RET_USER_NOTIF);
      EXPECT_EQ(merged.ask("utimensat", {3, 0, 0, 0}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("mmap", {0, 4096, 3, 0x22}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("mmap", {0, 4096, 7, 0x22}), SECCOMP_RET_ALLOW) << "@jit";
      EXPECT_EQ(merged.ask("mprotect", {0, 4096, 5}), SECCOMP_RET_ALLOW) << "@jit";
      EXPECT_EQ(merged.ask("prctl", {15}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("prlimit64", {0, 7}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("tgkill", {1, 1, 23}), SECCOMP_RET_ALLOW) << "Go's scheduler";
      EXPECT_EQ(merged.ask("tgkill", {1, 1, 9}), SECCOMP_RET_USER_NOTIF);
      EXPECT_EQ(merged.ask("kill", {1, 0}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("socketpair", {1, 0x80001}), SECCOMP_RET_ALLOW);
      EXPECT_EQ(merged.ask("socketpair", {1, 2}), SECCOMP_RET_USER_NOTIF);
      EXPECT_EQ(merged.ask("socket", {1, 1}), SECCOMP_RET_USER_NOTIF);
      EXPECT_FALSE(permits(merged.ask("socket", {17, 3})));
      EXPECT_NE(merged.ask("socket", {17, 3}), SECCOMP_RET_USER_NOTIF);
      EXPECT_NE(merged.ask("personality", {0x400000}), SECCOMP_RET_ALLOW);
      for (int nr : {0, 1, 3, 7, 20, 21, 22})  // no rule at all
        EXPECT_EQ(answer(merged.world.merged, merged.world, nr, {}), SECCOMP_RET_ALLOW) << nr;
    }
}

// A kernel that is newer than the table and libseccomp: its calls are no way around either.
TEST(NewerCalls, AreRefusedWhateverTheProfileSaysByDefault) {
  for (const Arch arch : {Arch::X86_64, Arch::Arm64})
    for (const IncomingProfile& profile : incoming_profiles(arch)) {
      SCOPED_TRACE(profile.name);
      const Merged merged(profile, arch);
      std::set<std::int32_t> named;
      for (const std::string& name : oci::known_calls(arch))
        named.insert(libseccomp_number(name, arch).value_or(-1));
      for (std::int32_t nr = 0; nr < 1024; ++nr)
        EXPECT_TRUE(named.contains(nr) ||
                    !permits(answer(merged.world.merged, merged.world, nr, {})))
            << nr;
    }
}

// The filter is the kernel's to take whole, and its interpreter's to walk.
TEST(Merged, FitsIntoAFilter) {
  const policies::Policy policy = closed_policy();
  for (const IncomingProfile& profile : incoming_profiles(Arch::X86_64)) {
    const Merged merged(profile, Arch::X86_64, policy);
    EXPECT_LT(merged.world.merged.size(), 3500U) << profile.name;
    RecordProperty("instructions of " + profile.name, static_cast<int>(merged.world.merged.size()));
  }
}

// Newer calls than the installed libseccomp are refused by the default, not by name.
TEST(Libseccomp, KnowsEveryCallOfTheTableUpToItsTime) {
  for (const SyscallRow& row : policies::syscalls())
    EXPECT_TRUE(row.x86_64 > 448 || libseccomp_knows(row.name)) << row.name;
}

}  // namespace
}  // namespace moat::test
