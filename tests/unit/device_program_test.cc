#include "policies/device_program.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/kernel_machine.h"
#include "tests/support/policies.h"

namespace moat::policies {
namespace {

const std::vector<DeviceNode> kNodes{{"/dev/null", false, 1, 3},      {"/dev/kmsg", false, 1, 11},
                                     {"/dev/nvidia0", false, 195, 0}, {"/dev/sda", true, 8, 0},
                                     {"/dev/pts/ptmx", false, 5, 2},  {"/dev/tape", false, 8, 0}};

Policy policy_of(const std::string& load) {
  return test::policy_from(
      "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
      "  phases:\n    init: {device: {access: ['/dev/**']}}\n    load: {device: {access: [" +
      load + "]}}\n    serve: {device: {access: []}}\n");
}

constexpr std::uint32_t kRead = BPF_DEVCG_ACC_READ, kMake = BPF_DEVCG_ACC_MKNOD;

struct Asked {
  bool block = false;
  std::uint32_t major = 0, minor = 0;
  std::uint32_t access = kRead;
  Phase phase = Phase::Load;
};

class Held {
 public:
  explicit Held(const std::string& load, Mode mode = Mode::Enforce)
      : programs_(device_programs(policy_of(load), mode, kNodes).value()) {}

  bool allows(const Asked& asked, bool plain = false) {
    const std::uint32_t type = asked.block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    const bpf_cgroup_dev_ctx context{asked.access << 16 | type, asked.major, asked.minor};
    machine.context.resize(sizeof context);
    std::memcpy(machine.context.data(), &context, sizeof context);
    machine.state.phase = phase_word(asked.phase);
    const NetworkProgram& program = programs_.at(0);
    const auto result = machine.run(plain ? program.plain : program.code);
    EXPECT_TRUE(result) << "it left the machine";
    return result == 1;
  }

  test::Machine machine;

 private:
  std::vector<NetworkProgram> programs_;
};

TEST(DeviceProgram, AllowsTheNumbersOfThePathsThePhaseLists) {
  Held held("'@stdio', '/dev/nvidia*', '/dev/sda', '/dev/gone'");
  struct Row {
    Asked asked;
    bool allowed;
  };
  for (const Row& row : {
           Row{{false, 1, 3}, true},
           Row{{false, 1, 3, kMake}, true},
           Row{{false, 1, 11}, false},
           Row{{false, 1, 11, kMake}, false},
           Row{{true, 1, 3}, false},
           Row{{false, 195, 0}, true},
           Row{{false, 195, 1}, false},
           Row{{true, 8, 0}, true},
           Row{{false, 8, 0}, false},  // the tape of that number
           Row{{false, 5, 2}, true},
           Row{{false, 136, 0}, true},
           Row{{false, 136, 77777}, true},  // a terminal of later
           Row{{true, 136, 0}, false},
           Row{{false, 0, 0}, false},
           Row{{false, 1, 11, kRead, Phase::Init}, true},
           Row{{false, 1, 3, kRead, Phase::Serve}, false},
           Row{{false, 136, 0, kRead, Phase::Serve}, false},
           Row{{false, 1, 3, kRead, Phase::Warmup}, false},
       })
    for (const bool plain : {false, true})
      EXPECT_EQ(held.allows(row.asked, plain), row.allowed)
          << (row.asked.block ? "b " : "c ") << row.asked.major << ':' << row.asked.minor << " in "
          << to_string(row.asked.phase);
}

TEST(DeviceProgram, SaysWhatItRefusedAndToWhom) {
  Held held("'/dev/null'");
  EXPECT_FALSE(held.allows({false, 1, 11}));
  EXPECT_FALSE(held.allows({true, 259, 7, kMake}));
  EXPECT_FALSE(held.allows({false, 136, 4}));
  EXPECT_FALSE(held.allows({true, 8, 0}));
  EXPECT_TRUE(held.allows({false, 1, 3}));
  const auto& told = held.machine.records;
  ASSERT_EQ(told.size(), 4U);
  EXPECT_EQ(device_text(told[0], kNodes), "/dev/kmsg");
  EXPECT_EQ(device_text(told[1], kNodes), "b 259:7") << "no node of that number";
  EXPECT_EQ(device_text(told[2], kNodes), "/dev/pts/4");
  EXPECT_EQ(device_text(told[3], kNodes), "/dev/sda");
  EXPECT_EQ(told[0].hook, static_cast<std::uint32_t>(NetworkHook::Device));
  EXPECT_EQ(told[0].phase, phase_word(Phase::Load));
  EXPECT_EQ(told[0].pid_tgid, (7ULL << 32) | 8);
}

TEST(DeviceProgram, RefusesEverythingBeforeTheFirstPhaseButNotInAudit) {
  for (const Mode mode : {Mode::Enforce, Mode::Audit}) {
    Held held("'@stdio'", mode);
    held.allows({});
    held.machine.records.clear();
    held.machine.state.phase = 0;
    bpf_cgroup_dev_ctx context{kRead << 16 | BPF_DEVCG_DEV_CHAR, 1, 3};
    std::memcpy(held.machine.context.data(), &context, sizeof context);
    const auto programs = device_programs(policy_of("'@stdio'"), mode, kNodes).value();
    EXPECT_EQ(held.machine.run(programs[0].code), mode == Mode::Audit ? 1U : 0U);
  }
}

TEST(DeviceProgram, AuditTellsAndLetsGo) {
  Held held("'/dev/null'", Mode::Audit);
  EXPECT_TRUE(held.allows({false, 1, 11}));
  EXPECT_EQ(held.machine.records.size(), 1U);
}

TEST(DeviceProgram, LetsASessionThrough) {
  Held held("");
  held.machine.state.session_cgroup = held.machine.cgroup;
  EXPECT_TRUE(held.allows({false, 1, 11}));
  held.machine.cgroup = 2;
  EXPECT_FALSE(held.allows({false, 1, 11}));
}

TEST(DeviceProgram, IsNoneWhereThereIsNothingToHold) {
  EXPECT_TRUE(device_programs(test::open_policy(), Mode::Enforce, kNodes)->empty());
  EXPECT_TRUE(device_programs(policy_of(""), Mode::Off, kNodes)->empty());
}

// Any pattern but "/dev/**" is a list of what there is.
TEST(DeviceProgram, APatternStandsForTheNodesThereAre) {
  Held held("'/dev/*'");
  EXPECT_TRUE(held.allows({false, 1, 11}));
  EXPECT_FALSE(held.allows({false, 10, 229})) << "what nobody has";
  EXPECT_FALSE(held.allows({false, 5, 2})) << "which is /dev/pts/ptmx";
}

TEST(DeviceNode, ComesBackAsItWent) {
  for (const DeviceNode& node : kNodes) EXPECT_EQ(node_from(line_of(node)), node);
  for (const char* text : {"", "c", "c ", "c 1:3", "x 1:3 /dev/null", "c 1 /dev/a:b", "c 1:x /d",
                           "c -1:3 /d", "c 99999999999:3 /d"})
    EXPECT_FALSE(node_from(text)) << text;
}

}  // namespace
}  // namespace moat::policies
