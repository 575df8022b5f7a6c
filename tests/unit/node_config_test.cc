#include "oci/node_config.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace moat::oci {
namespace {

using policies::Mode;

TEST(NodeConfig, AuditsWithThePythonProfileWhenNothingIsSaid) {
  for (const char* text : {"", "# only a comment\n", "---\n", "{}"}) {
    const auto config = NodeConfig::parse(text, "moat.yaml");
    ASSERT_TRUE(config) << config.error().what;
    EXPECT_EQ(config->mode, Mode::Audit);
    EXPECT_EQ(config->profile, "builtin/python");
    EXPECT_EQ(config->policy_dir, "/etc/moat/policies");
    EXPECT_EQ(config->floor, "/etc/moat/floor.yaml");
  }
}

TEST(NodeConfig, ReadsEveryKey) {
  const auto config = NodeConfig::parse(
      "mode: enforce\nprofile: node/own\n"
      "logDir: /l\nstateDir: /s\npolicyDir: /p\nfloor: /f.yaml\n"
      "runtime: crun\nruntimeRoot: /r\nsystemdCgroup: false\nfailurePolicy: pod\n",
      "moat.yaml");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->mode, Mode::Enforce);
  EXPECT_EQ(config->profile, "node/own");
  EXPECT_EQ(config->log_dir, "/l");
  EXPECT_EQ(config->state_dir, "/s");
  EXPECT_EQ(config->policy_dir, "/p");
  EXPECT_EQ(config->floor, "/f.yaml");
  EXPECT_EQ(config->failure_policy, FailurePolicy::Pod);
  EXPECT_EQ(config->runtime, "crun");
  EXPECT_EQ(config->runtime_root, "/r");
  EXPECT_EQ(config->systemd_cgroup, false);
}

TEST(NodeConfig, SaysWhichLineIsWrong) {
  const struct {
    const char *text, *error;
  } cases[] = {
      {"mode: audit\nmod: x\n", "moat.yaml:2: unknown key 'mod'; did you mean 'mode'?"},
      {"mode: enforced\n",
       "moat.yaml:1: mode: 'enforced' is not one of off, audit, learn, enforce; did you mean "
       "'enforce'?"},
      {"failurePolicy: opem\n",
       "moat.yaml:1: failurePolicy: 'opem' is not one of closed, pod, open; did you mean 'open'?"},
      {"\nlogDir: log\n", "moat.yaml:2: logDir: 'log' is not absolute"},
      {"floor: /a/../b\n", "moat.yaml:1: floor: '/a/../b' has a '..' in it"},
      {"mode: audit\nmode: enforce\n", "moat.yaml:2: mode is given twice"},
      {"mode: [audit]\n", "moat.yaml:1: mode: expected one value"},
      {"[a]: b\n", "moat.yaml:1: a key must be a word"},
      {"- a\n", "moat.yaml: expected 'key: value' lines"},
      {"just words\n", "moat.yaml: expected 'key: value' lines"},
      {"a: [\n", "moat.yaml:2: "},
      {"mode:\n", "moat.yaml:1: mode: expected one value"},
      {"runtime: bin/runc\n", "moat.yaml:1: runtime: 'bin/runc' is not absolute"},
      {"systemdCgroup: yes\n", "moat.yaml:1: systemdCgroup: 'yes' is not one of auto, true, false"},
      {"profile: a/b/c\n", "moat.yaml:1: profile: 'a/b/c' is not a profile's name"},
  };
  for (const auto& c : cases) {
    const auto config = NodeConfig::parse(c.text, "moat.yaml");
    ASSERT_FALSE(config) << c.text;
    EXPECT_TRUE(config.error().what.starts_with(c.error)) << config.error().what;
  }
}

struct NodeConfigFile : ::testing::Test {
  test::TempDir dir;
  NodeConfigFile() { ::setenv("MOAT_CONFIG", dir.at("moat.yaml").c_str(), 1); }
  ~NodeConfigFile() override {
    for (const char* name :
         {"MOAT_CONFIG", "MOAT_LOG_DIR", "MOAT_STATE_DIR", "MOAT_POLICY_DIR", "MOAT_FLOOR"})
      ::unsetenv(name);
  }
};

TEST_F(NodeConfigFile, MayBeMissingButNotUnreadable) {
  EXPECT_EQ(NodeConfig::load()->mode, Mode::Audit);
  dir.file("moat.yaml", "mode: enforce\n");
  EXPECT_EQ(NodeConfig::load()->mode, Mode::Enforce);
  dir.file("moat.yaml", std::string(100000, '#'));
  EXPECT_FALSE(NodeConfig::load());
  std::filesystem::remove(dir.at("moat.yaml"));
  dir.folder("moat.yaml");
  EXPECT_FALSE(NodeConfig::load());
}

TEST_F(NodeConfigFile, YieldsToTheEnvironment) {
  dir.file("moat.yaml", "logDir: /a\nstateDir: /b\n");
  ::setenv("MOAT_LOG_DIR", "/l", 1);
  ::setenv("MOAT_POLICY_DIR", "/p", 1);
  ::setenv("MOAT_FLOOR", "/f", 1);
  const auto config = NodeConfig::load();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->log_dir, "/l");
  EXPECT_EQ(config->state_dir, "/b");
  EXPECT_EQ(config->policy_dir, "/p");
  EXPECT_EQ(config->floor, "/f");
}

}  // namespace
}  // namespace moat::oci
