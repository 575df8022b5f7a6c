#include "policies/network_program.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>
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
      : programs_(network_programs(policy, mode, test::Machine().names).value()) {}

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

// `name` with its family before it, as the kernel has it.
bool reaches(Hooked& hooked, const std::string& name, NetworkHook hook = NetworkHook::UnixConnect) {
  hooked.machine().context.resize(sizeof(bpf_sock_addr));
  hooked.machine().name = std::string("\1\0", 2) + name;
  return hooked.run(hook);
}

constexpr std::array kUnixHooks{NetworkHook::UnixConnect, NetworkHook::UnixSend};

TEST(NetworkProgram, HoldsUnixSocketsAsAClassWhereItCannotTellThemApart) {
  for (const bool any : {false, true}) {
    const Policy policy = policy_of(any ? "'unix:*'" : "'unix:/run/x.sock'");
    const auto programs = network_programs(policy, Mode::Enforce).value();
    test::Machine machine;
    machine.context.resize(sizeof(bpf_sock_addr));
    for (const auto& [phase, allowed] : {std::pair(Phase::Init, true), std::pair(Phase::Load, any),
                                         std::pair(Phase::Serve, false)})
      for (const NetworkHook hook : kUnixHooks) {
        machine.state.phase = phase_word(phase);
        const auto program = std::ranges::find(programs, hook, &NetworkProgram::hook);
        EXPECT_FALSE(program->named);
        EXPECT_EQ(machine.run(program->code), allowed ? 1 : 0) << to_string(phase);
      }
  }
}

TEST(NetworkProgram, ComparesTheKernelsCopyOfAName) {
  const std::string full = "/" + std::string(107, 'f');
  const Policy policy =
      policy_of("'unix:/run/log.sock', 'unix:/srv/app/**', 'unix:@name', 'unix:" + full + "'");
  Hooked hooked(policy);
  hooked.machine().state.phase = phase_word(Phase::Load);
  struct Row {
    std::string name;
    bool allowed;
  };
  const auto with_nul = [](std::string_view text) { return std::string(text) + '\0'; };
  for (const Row& row : {
           Row{"/run/log.sock", true},
           Row{with_nul("/run/log.sock"), true},
           Row{with_nul("/run/log.sock") + "/rest", true},  // which the kernel does not read
           Row{"/run/log.soc", false},
           Row{"/run/log.sockx", false},
           Row{"/run/log.sock/", false},
           Row{"//run/log.sock", false},
           Row{"/run/./log.sock", false},
           Row{"run/log.sock", false},
           Row{"/", false},
           Row{with_nul(""), false},
           Row{"", false},
           Row{"/srv/app", true},
           Row{with_nul("/srv/app"), true},
           Row{"/srv/app/a", true},
           Row{"/srv/app/a/b.sock", true},
           Row{"/srv/app/.hidden/..b/...", true},
           Row{"/srv/apps", false},
           Row{"/srv/app/", false},
           Row{"/srv/app/../x", false},
           Row{"/srv/app/a/..", false},
           Row{"/srv/app/a/.", false},
           Row{"/srv/app/./a", false},
           Row{"/srv/app//a", false},
           Row{with_nul("/srv/app/.."), false},
           Row{"/srv/../srv/app/a", false},
           Row{with_nul("") + "name", true},
           Row{with_nul("") + with_nul("name"), false},  // another name
           Row{with_nul("") + "nam", false},
           Row{with_nul("") + "names", false},
           Row{"@name", false},
           Row{full, true},
           Row{full.substr(0, 107), false},
           Row{full + "f", false},  // longer than a name can be
           Row{std::string(300, '/'), false},
       })
    for (const NetworkHook hook : kUnixHooks)
      EXPECT_EQ(reaches(hooked, row.name, hook), row.allowed) << row.name;
  hooked.machine().state.phase = phase_word(Phase::Serve);
  EXPECT_FALSE(reaches(hooked, "/run/log.sock")) << "which another phase names";
}

TEST(NetworkProgram, SaysWhichNameItRefused) {
  const Policy policy = policy_of("'unix:/run/log.sock'");
  Hooked hooked(policy);
  hooked.machine().state.phase = phase_word(Phase::Load);
  const std::string full = "/" + std::string(107, 'f');
  EXPECT_FALSE(reaches(hooked, "/run/docker.sock"));
  EXPECT_FALSE(reaches(hooked, std::string("\0ab\0c", 5)));
  EXPECT_FALSE(reaches(hooked, full));
  const auto& told = hooked.machine().records;
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(address_text(told[0]), "unix:/run/docker.sock");
  EXPECT_EQ(address_text(told[1]), std::string("unix:@ab\0c", 10));
  EXPECT_EQ(address_text(told[2]), "unix:" + full);
}

// The program, against the rules asked one by one, on names made of what makes a difference.
TEST(NetworkProgram, AgreesWithItsRulesOnEveryName) {
  const Policy policy = policy_of(
      "'unix:/a/**', 'unix:/a.b', 'unix:/b/a', 'unix:@a', 'unix:@b.', 'unix:@a/b', "
      "'unix:/bb/*'");
  const auto& rules = policy.boundary(Phase::Load).network.unix_names;
  EXPECT_EQ(rules.size(), 6U);
  Hooked hooked(policy);
  hooked.machine().state.phase = phase_word(Phase::Load);
  constexpr std::string_view kLetters("/.ab\0", 5);
  int allowed = 0;
  for (unsigned number = 0; number < 5 * 5 * 5 * 5 * 5 * 5; ++number) {
    std::string name;
    for (unsigned rest = number; name.size() < 1 + number % 6; rest /= 5)
      name += kLetters[rest % 5];
    const bool expected =
        std::ranges::any_of(rules, [&](const UnixRule& rule) { return rule.covers(name); });
    EXPECT_EQ(reaches(hooked, name), expected) << name;
    allowed += expected ? 1 : 0;
  }
  EXPECT_GT(allowed, 100);
}

TEST(NetworkProgram, AnOwnPlaceIsForWhoMayListen) {
  const Policy policy = policy_of("'10.0.0.1:80'");
  Hooked hooked(policy);
  const auto binds = [&](std::uint16_t port, Phase phase) {
    bpf_sock_addr address{};
    address.user_port = htons(port);
    hooked.machine().context.resize(sizeof address);
    std::memcpy(hooked.machine().context.data(), &address, sizeof address);
    hooked.machine().state.phase = phase_word(phase);
    const bool v4 = hooked.run(NetworkHook::Bind4);
    EXPECT_EQ(hooked.run(NetworkHook::Bind6), v4);
    return v4;
  };
  EXPECT_TRUE(binds(80, Phase::Init));
  EXPECT_FALSE(binds(80, Phase::Load));
  EXPECT_TRUE(binds(0, Phase::Load)) << "a client may have one that the kernel chooses";
  EXPECT_TRUE(binds(80, Phase::Serve));
  EXPECT_FALSE(binds(0, Phase::Warmup)) << "where nothing can be sent";
}

TEST(NetworkProgram, OnlyKindsThatOtherProgramsHoldAreMade) {
  const Policy policy = policy_of("'10.0.0.1:80'");
  Hooked hooked(policy);
  struct Row {
    std::uint32_t type, protocol;
    bool load, serve;
  };
  for (const Row& row : {
           Row{SOCK_STREAM, IPPROTO_TCP, true, true}, Row{SOCK_STREAM, 262, true, true},  // MPTCP
           Row{SOCK_DGRAM, IPPROTO_UDP, true, false}, Row{SOCK_DGRAM, IPPROTO_ICMP, false, false},
           Row{SOCK_DGRAM, IPPROTO_ICMPV6, false, false},
           Row{SOCK_DGRAM, 136, false, false},  // UDP-Lite
           Row{SOCK_STREAM, IPPROTO_SCTP, false, false},
           Row{SOCK_SEQPACKET, IPPROTO_SCTP, false, false},
           Row{SOCK_RAW, IPPROTO_TCP, false, false}, Row{SOCK_RAW, IPPROTO_RAW, false, false},
           Row{6, 33, false, false},  // DCCP
       })
    for (const int family : {AF_INET, AF_INET6}) {
      bpf_sock socket{};
      socket.family = static_cast<std::uint32_t>(family);
      socket.type = row.type;
      socket.protocol = row.protocol;
      hooked.machine().context.resize(sizeof socket);
      std::memcpy(hooked.machine().context.data(), &socket, sizeof socket);
      for (const auto& [phase, allowed] :
           {std::pair(Phase::Init, true), std::pair(Phase::Load, row.load),
            std::pair(Phase::Serve, row.serve), std::pair(Phase::Warmup, false)}) {
        hooked.machine().state.phase = phase_word(phase);
        EXPECT_EQ(hooked.run(NetworkHook::Create), allowed) << row.type << " " << row.protocol;
      }
    }
  EXPECT_EQ(address_text(hooked.machine().records.back()), "AF_INET6 type 6 protocol 33");
}

TEST(NetworkProgram, IsNotThereWhereNothingIsHeld) {
  EXPECT_TRUE(network_programs(test::open_policy(), Mode::Enforce)->empty());
  EXPECT_TRUE(network_programs(test::closed_policy(), Mode::Off)->empty());
  const std::size_t all = network_hooks().size() - 1;  // that of devices is made elsewhere
  EXPECT_EQ(Hooked(test::closed_policy()).size(), all);
  EXPECT_EQ(Hooked(test::closed_policy(), Mode::Audit).size(), all - 2);
  EXPECT_EQ(network_programs(test::closed_policy(), Mode::Audit)->size(), all - 4);
}

// The first instruction that nothing leads to, which the kernel's verifier would not take.
std::optional<std::size_t> unreachable(const KernelCode& code) {
  std::vector<bool> seen(code.size());
  std::vector<std::size_t> open{0};
  while (!open.empty()) {
    const std::size_t at = open.back();
    open.pop_back();
    if (at >= code.size() || seen[at]) continue;
    seen[at] = true;
    const bpf_insn& op = code[at];
    const std::uint8_t kind = BPF_CLASS(op.code);
    const bool jumps = (kind == BPF_JMP || kind == BPF_JMP32) && BPF_OP(op.code) != BPF_CALL;
    if (op.code == (BPF_LD | BPF_DW | BPF_IMM)) seen[at + 1] = true;
    if (jumps && BPF_OP(op.code) == BPF_EXIT) continue;
    if (jumps) open.push_back(at + 1 + static_cast<std::size_t>(op.off));
    if (!jumps || op.code != (BPF_JMP | BPF_JA))
      open.push_back(at + (op.code == (BPF_LD | BPF_DW | BPF_IMM) ? 2 : 1));
  }
  const auto dead = std::ranges::find(seen, false);
  if (dead == seen.end()) return {};
  return static_cast<std::size_t>(dead - seen.begin());
}

TEST(NetworkProgram, HasNoInstructionThatNothingLeadsTo) {
  for (const char* load : {"", "'@listen'", "'10.0.0.1'", "'[::1]:80'", "'unix:*'", "'unix:/a'",
                           "'unix:/a/**'", "'unix:@a', '10.0.0.1', '@listen'"})
    for (const Mode mode : {Mode::Enforce, Mode::Audit}) {
      const auto programs = network_programs(policy_of(load), mode, test::Machine().names);
      for (const NetworkProgram& program : *programs)
        for (const KernelCode* code : {&program.code, &program.plain}) {
          if (!code->empty()) {
            EXPECT_EQ(unreachable(*code), std::nullopt)
                << load << " " << kind_of(program.hook).name;
          }
        }
    }
  const auto closed = network_programs(test::closed_policy(), Mode::Enforce);
  for (const NetworkProgram& program : *closed)
    EXPECT_EQ(unreachable(program.code), std::nullopt) << kind_of(program.hook).name;
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
