#include "policies/network_program.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/support/kernel_machine.h"
#include "tests/support/policies.h"

namespace moat::policies {
namespace {

Policy policy_of(const std::string& load) {
  return test::policy_from(
      "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n  "
      "phases:\n"
      "    init: {network: {access: ['*']}}\n    load: {network: {access: [" +
      load + "]}}\n    serve: {network: {access: [\"@listen\"]}}\n");
}

struct Asked {
  std::string address;  // a ':' makes it version 6
  std::uint16_t port = 0;
  Phase phase = Phase::Load;
};

// What a hook's program says, and notes.
class Hooked {
 public:
  explicit Hooked(const Policy& policy, Mode mode = Mode::Enforce)
      : programs_(network_programs(policy, mode).value()) {}

  bool allows(const Asked& asked) {
    const bool v6 = asked.address.find(':') != std::string::npos;
    bpf_sock_addr address{};
    address.user_port = htons(asked.port);
    const int good =
        v6 ? ::inet_pton(AF_INET6, asked.address.c_str(), static_cast<void*>(address.user_ip6))
           : ::inet_pton(AF_INET, asked.address.c_str(), &address.user_ip4);
    EXPECT_EQ(good, 1) << asked.address;
    machine_.context.resize(sizeof address);
    std::memcpy(machine_.context.data(), &address, sizeof address);
    machine_.state.phase = phase_word(asked.phase);
    return run(v6 ? NetworkHook::Connect6 : NetworkHook::Connect4);
  }

  bool run(NetworkHook hook) {
    const auto program = std::ranges::find(programs_, hook, &NetworkProgram::hook);
    EXPECT_NE(program, programs_.end());
    const auto result = machine_.run(program->code);
    EXPECT_TRUE(result) << "it left the machine";
    return result == 1;
  }

  test::Machine& machine() { return machine_; }
  [[nodiscard]] std::size_t size() const { return programs_.size(); }

 private:
  std::vector<NetworkProgram> programs_;
  test::Machine machine_;
};

TEST(NetworkProgram, AllowsWhatThePhaseNames) {
  const Policy policy = policy_of(
      "'10.1.0.0/16:443', '192.168.1.7', '[fd00::/8]:80', '[2001:db8::1]', '@listen', 'hub:80'");
  Hooked hooked(policy);
  struct Row {
    Asked asked;
    bool allowed;
  };
  for (const Row& row : {
           Row{{"10.1.2.3", 443}, true},
           Row{{"10.1.255.255", 443}, true},
           Row{{"10.1.2.3", 80}, false},
           Row{{"10.2.0.0", 443}, false},
           Row{{"192.168.1.7", 1}, true},
           Row{{"192.168.1.6", 1}, false},
           Row{{"0.0.0.0", 443}, false},
           Row{{"::ffff:10.1.2.3", 443}, true},
           Row{{"::ffff:10.2.2.3", 443}, false},
           Row{{"fd12::1", 80}, true},
           Row{{"fd12::1", 81}, false},
           Row{{"fe00::1", 80}, false},
           Row{{"2001:db8::1", 5}, true},
           Row{{"2001:db8::2", 5}, false},
           Row{{"::", 80}, false},
           Row{{"10.1.2.3", 443, Phase::Serve}, false},
           Row{{"1.2.3.4", 5, Phase::Init}, true},
           Row{{"::1", 5, Phase::Init}, true},
           Row{{"10.1.2.3", 443, Phase::Warmup}, false},
       })
    EXPECT_EQ(hooked.allows(row.asked), row.allowed)
        << row.asked.address << " " << row.asked.port << " in " << to_string(row.asked.phase);
}

TEST(NetworkProgram, SaysWhatItRefusedAndToWhom) {
  const Policy policy = policy_of("'10.0.0.1:80'");
  Hooked hooked(policy);
  EXPECT_FALSE(hooked.allows({"10.0.0.2", 81}));
  EXPECT_FALSE(hooked.allows({"::ffff:10.0.0.3", 82}));
  EXPECT_FALSE(hooked.allows({"fd00::1", 83, Phase::Serve}));
  EXPECT_TRUE(hooked.allows({"10.0.0.1", 80}));
  const auto& told = hooked.machine().records;
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(address_text(told[0]), "10.0.0.2:81");
  EXPECT_EQ(address_text(told[1]), "10.0.0.3:82") << "unwrapped";
  EXPECT_EQ(address_text(told[2]), "[fd00::1]:83");
  EXPECT_EQ(told[2].phase, phase_word(Phase::Serve));
  EXPECT_EQ(told[0].pid_tgid, (7ULL << 32) | 8);
}

TEST(NetworkProgram, ARecordWithoutRoomIsCountedAndRefusedAllTheSame) {
  const Policy policy = policy_of("");
  Hooked hooked(policy);
  hooked.machine().full = true;
  EXPECT_FALSE(hooked.allows({"10.0.0.2", 81}));
  EXPECT_EQ(hooked.machine().state.lost, 1U);
}

TEST(NetworkProgram, RefusesEverythingBeforeTheFirstPhaseButNotInAudit) {
  const Policy policy = policy_of("'0.0.0.0/0'");
  for (const Mode mode : {Mode::Enforce, Mode::Audit}) {
    Hooked hooked(policy, mode);
    hooked.machine().context.resize(sizeof(bpf_sock_addr));
    EXPECT_EQ(hooked.run(NetworkHook::Send4), mode == Mode::Audit);
  }
}

TEST(NetworkProgram, AuditAllowsAndTells) {
  const Policy policy = policy_of("");
  Hooked hooked(policy, Mode::Audit);
  EXPECT_TRUE(hooked.allows({"10.0.0.2", 81}));
  EXPECT_EQ(hooked.machine().records.size(), 1U);
}

TEST(NetworkProgram, LetsASessionThrough) {
  const Policy policy = policy_of("");
  Hooked hooked(policy);
  hooked.machine().cgroup = hooked.machine().state.session_cgroup = 77;
  EXPECT_TRUE(hooked.allows({"10.0.0.2", 81}));
  hooked.machine().cgroup = 78;
  EXPECT_FALSE(hooked.allows({"10.0.0.2", 81}));
}

TEST(NetworkProgram, HoldsUnixSocketsAsAClass) {
  for (const bool any : {false, true}) {
    const Policy policy = policy_of(any ? "'unix:*'" : "'unix:/run/x.sock'");
    Hooked hooked(policy);
    hooked.machine().context.resize(sizeof(bpf_sock_addr));
    for (const auto& [phase, allowed] : {std::pair(Phase::Init, true), std::pair(Phase::Load, any),
                                         std::pair(Phase::Serve, false)})
      for (const NetworkHook hook : {NetworkHook::UnixConnect, NetworkHook::UnixSend}) {
        hooked.machine().state.phase = phase_word(phase);
        EXPECT_EQ(hooked.run(hook), allowed) << to_string(phase);
      }
  }
}

TEST(NetworkProgram, IsNotThereWhereNothingIsHeld) {
  EXPECT_TRUE(network_programs(test::open_policy(), Mode::Enforce)->empty());
  EXPECT_TRUE(network_programs(test::closed_policy(), Mode::Off)->empty());
  EXPECT_EQ(Hooked(test::closed_policy()).size(), 7U);
  EXPECT_EQ(Hooked(test::closed_policy(), Mode::Audit).size(), 4U);
}

TEST(NetworkProgram, ListsTooLongForAProgramAreAnError) {
  std::string list, phases;
  for (int i = 0; i < 1000; ++i) list += "'[fd00::" + std::to_string(i) + "]:443',";
  for (const char* phase : {"init", "load", "warmup", "serve", "shutdown"})
    phases += std::string("    ") + phase + ": {network: {access: [" + list + "]}}\n";
  const auto programs =
      network_programs(test::policy_from("apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\n"
                                         "metadata: {name: t}\nspec:\n  phases:\n" +
                                         phases),
                       Mode::Enforce);
  ASSERT_FALSE(programs);
  EXPECT_NE(programs.error().what.find("into networks"), std::string::npos);
}

// The program, against the rules asked one by one.
TEST(NetworkProgram, AgreesWithItsRulesOnEveryAddress) {
  std::mt19937 random(7);  // the same addresses in every run
  const auto word = [&](unsigned below) { return std::to_string(random() % below); };
  std::string list;
  for (int i = 0; i < 40; ++i) {
    const bool v6 = i % 2 == 1;
    list += v6 ? "'[fd0" + word(4) + "::" + word(4) + "/" + std::to_string(90 + random() % 39) + "]"
               : "'10." + word(4) + "." + word(4) + "." + word(4) + "/" +
                     std::to_string(20 + random() % 13);
    list += i % 3 == 0 ? "'," : ":" + word(3) + "1',";
  }
  const Policy policy = policy_of(list);
  const auto& rules = policy.boundary(Phase::Load).network.reachable;
  EXPECT_EQ(rules.size(), 40U);
  Hooked hooked(policy);
  int allowed = 0;
  for (int i = 0; i < 3000; ++i) {
    const bool v6 = i % 2 == 1;
    const Asked asked{
        v6 ? "fd0" + word(5) + "::" + word(5) : "10." + word(5) + "." + word(5) + "." + word(5),
        static_cast<std::uint16_t>(random() % 3 * 10 + 1)};
    std::array<std::uint8_t, 16> bytes{};
    ::inet_pton(v6 ? AF_INET6 : AF_INET, asked.address.c_str(), bytes.data());
    const bool expected = std::ranges::any_of(
        rules, [&](const AddressRule& rule) { return rule.covers(v6, bytes.data(), asked.port); });
    EXPECT_EQ(hooked.allows(asked), expected) << asked.address << " " << asked.port;
    allowed += expected ? 1 : 0;
  }
  EXPECT_TRUE(allowed > 300 && allowed < 2700) << allowed;
}

TEST(AddressRule, IsReadAsItIsMeant) {
  EXPECT_EQ(address_rule("10.1.2.3/8:443"), address_rule("10.0.0.0/8:443"));
  EXPECT_EQ(address_rule("[::ffff:10.0.0.0/104]:1"), address_rule("10.0.0.0/8:1"));
  EXPECT_EQ(address_rule("10.0.0.1")->prefix, 32);
  EXPECT_EQ(address_rule("[::1]")->prefix, 128);
  for (const char* text :
       {"hub.example:80", "unix:/run/x", "*", "@listen", "10.0.0.1:99999", "[::1"})
    EXPECT_FALSE(address_rule(text)) << text;
}

}  // namespace
}  // namespace moat::policies
