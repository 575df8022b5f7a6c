#include "oci/select.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "oci/sha256.h"
#include "tests/support/temp_dir.h"

namespace moat::oci {
namespace {

using policies::Mode;
using policies::Phase;
using policies::Sessions;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

constexpr const char* kHead = "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\n";
const std::string kOwn = std::string(kHead) +
                         "metadata: {name: own}\n"
                         "spec: {extends: [builtin/python], mode: learn, models: [/own]}\n";

struct SelectTest : ::testing::Test {
  test::TempDir dir;
  NodeConfig node;
  Json config = {{"annotations",
                  {{"io.kubernetes.cri.container-type", "container"},
                   {"io.kubernetes.cri.container-name", "server"}}},
                 {"process",
                  {{"cwd", "/srv"},
                   {"env", {"HOME=/home/u"}},
                   {"user", {{"uid", ::geteuid()}, {"gid", ::getegid()}}}}},
                 {"mounts", Json::array()}};

  SelectTest() {
    dir.folder("r");
    node.policy_dir = dir.at("policies");
    node.floor = dir.at("floor.yaml");
  }
  void annotate(const std::string& key, const std::string& value) {
    config["annotations"][key] = value;
  }
  void mount(const std::string& destination, const std::string& source, const char* access) {
    config["mounts"].push_back({{"destination", destination},
                                {"type", "bind"},
                                {"source", dir.at(source)},
                                {"options", {"rbind", access}}});
  }
  Result<std::optional<Selection>> choose() {
    return select(*Spec::parse(config.dump()), node, dir.at("r"));
  }
  // To be there.
  Selection selected() {
    auto selection = choose();
    EXPECT_TRUE(selection && *selection) << (selection ? "not supervised" : selection.error().what);
    return std::move(selection.value().value());
  }
  std::string error() {
    const auto selection = choose();
    return selection ? "no error" : selection.error().what;
  }
};

TEST_F(SelectTest, AuditsWithTheNodesProfileByDefault) {
  const auto selection = choose();
  ASSERT_TRUE(selection) << selection.error().what;
  ASSERT_TRUE(*selection);
  const Selection& chosen = **selection;
  EXPECT_EQ(chosen.mode, Mode::Audit);
  EXPECT_EQ(chosen.policy.mode(), Mode::Audit);
  EXPECT_EQ(chosen.policy.name(), "builtin/python");
  EXPECT_EQ(chosen.source, "builtin");
  EXPECT_EQ(chosen.digest,
            sha256_hex(policies::to_json(*policies::builtin_document("builtin/python"))));
  EXPECT_EQ(chosen.bindings.home, "/home/u");
  EXPECT_EQ(chosen.bindings.cwd, "/srv");
}

TEST_F(SelectTest, LeavesSandboxesAndModeOffToThePlainRuntime) {
  annotate("moat.dev/mode", "off");
  EXPECT_FALSE(*choose());
  annotate("moat.dev/profile", "there-is-none");
  EXPECT_FALSE(*choose()) << "nobody needs the policy of a container that is not supervised";

  annotate("moat.dev/mode", "nonsense");
  annotate("io.kubernetes.cri.container-type", "sandbox");
  EXPECT_FALSE(*choose()) << "the containers will say what is wrong";
}

TEST_F(SelectTest, SupervisesTheContainersThePodNames) {
  annotate("moat.dev/containers", "server,other");
  EXPECT_TRUE(*choose());
  annotate("io.kubernetes.cri.container-name", "sidecar");
  EXPECT_FALSE(*choose());
}

TEST_F(SelectTest, TakesTheModeFromAnnotationThenPolicyThenNode) {
  dir.file("policies/own.yaml", kOwn);
  node.mode = Mode::Enforce;
  EXPECT_EQ((*choose())->mode, Mode::Enforce);
  annotate("moat.dev/profile", "node/own");
  EXPECT_EQ((*choose())->mode, Mode::Learn);
  annotate("moat.dev/mode", "audit");
  EXPECT_EQ((*choose())->mode, Mode::Audit);
  annotate("mode.moat.dev/server", "enforce");
  const auto selection = choose();
  EXPECT_EQ((*selection)->mode, Mode::Enforce);
  EXPECT_EQ((*selection)->policy.mode(), Mode::Enforce);
  EXPECT_EQ((*selection)->source, "node");
}

TEST_F(SelectTest, GivesThePolicyItsPlaces) {
  annotate("moat.dev/model-paths", "/mine");
  annotate("moat.dev/cache-paths", "/cache");
  annotate("moat.dev/serve-on", "9000");
  annotate("moat.dev/sessions", "deny");
  config["process"]["env"].push_back("VIRTUAL_ENV=/venv/x/");
  config["process"]["env"].push_back("PYTHONPATH=/lib/a::relative:/:/lib/b");
  const auto selection = choose();
  ASSERT_TRUE(selection) << selection.error().what;
  const policies::Policy& policy = (*selection)->policy;
  EXPECT_NE(std::ranges::find(policy.models(), "/mine"), policy.models().end());
  EXPECT_NE(std::ranges::find(policy.models(), "/models"), policy.models().end());
  EXPECT_NE(std::ranges::find(policy.scratch(), "/cache"), policy.scratch().end());
  EXPECT_NE(std::ranges::find(policy.scratch(), "/home/u/.cache"), policy.scratch().end());
  EXPECT_EQ(policy.trigger(Phase::Serve)->listen_ports, std::vector<std::uint16_t>{9000});
  EXPECT_EQ(policy.sessions(), Sessions::Deny);
  EXPECT_EQ((*selection)->bindings.environment_roots, (Texts{"/venv/x", "/lib/a", "/lib/b"}));
}

TEST_F(SelectTest, KnowsPlacesByWhereTheyLead) {
  dir.folder("r/var/tmp");
  dir.folder("r/data/m");
  dir.link("r/tmp", "/var/tmp");
  dir.link("r/models", "/data/m");
  annotate("moat.dev/mode", "enforce");
  auto selection = choose();
  ASSERT_TRUE(selection && *selection);
  const auto places = find_places(*Spec::parse(config.dump()), dir.at("r"), (*selection)->policy,
                                  (*selection)->mode);
  ASSERT_TRUE(places) << places.error().what;
  EXPECT_FALSE((*selection)->policy.boundary(Phase::Load).read.contains("/data/m/m.pkl"));
  ASSERT_TRUE(bind_places(**selection, *places));
  EXPECT_TRUE((*selection)->policy.boundary(Phase::Load).read.contains("/data/m/m.pkl"));
  EXPECT_TRUE((*selection)->policy.boundary(Phase::Load).modify.contains("/var/tmp/x"));
}

// As the kubelet lays a ConfigMap out.
TEST_F(SelectTest, ReadsAMountedPolicyFromTheHostsSide) {
  const std::string volume = "pods/u/volumes/kubernetes.io~configmap/policy";
  dir.file(volume + "/..2024/policy.yaml", kOwn);
  dir.link(volume + "/..data", "..2024");
  dir.link(volume + "/policy.yaml", "..data/policy.yaml");
  mount("/etc", "other", "rw");
  mount("/etc/moat", volume, "ro");
  annotate("moat.dev/policy", "/etc/moat/policy.yaml");
  const auto selection = choose();
  ASSERT_TRUE(selection) << selection.error().what;
  EXPECT_EQ((*selection)->source, "configmap");
  EXPECT_EQ((*selection)->policy.name(), "own");
  EXPECT_EQ((*selection)->mode, Mode::Learn);
}

TEST_F(SelectTest, ReadsAPolicyThatIsAVolumeByItself) {
  dir.file("one.yaml", kOwn);
  mount("/policy.yaml", "one.yaml", "ro");
  annotate("moat.dev/policy", "/policy.yaml");
  const auto selection = choose();
  ASSERT_TRUE(selection) << selection.error().what;
  EXPECT_EQ((*selection)->source, "annotation");
}

TEST_F(SelectTest, RefusesAPolicyThatIsNotSafelyMounted) {
  dir.file("secret/policy.yaml", kOwn);
  dir.file("v/ok.yaml", kOwn);
  dir.file("v/long.yaml", std::string((1 << 20) + 1, '#'));
  dir.file("v/bad.yaml", std::string(kHead) + "metadata: {name: x}\nspec: {mode: audti}\n");
  dir.link("v/out.yaml", dir.at("secret/policy.yaml"));
  dir.link("v/up.yaml", "../secret/policy.yaml");
  dir.fifo("v/pipe");
  dir.folder("v/folder");
  mount("/ro", "v", "ro");
  mount("/rw", "v", "rw");
  config["mounts"].push_back({{"destination", "/run"}, {"type", "tmpfs"}, {"options", {"ro"}}});
  const struct {
    const char *path, *error;
  } cases[] = {
      {"/nowhere/ok.yaml", "annotation moat.dev/policy: /nowhere/ok.yaml: no volume is mounted"},
      {"/rw/ok.yaml", "annotation moat.dev/policy: /rw/ok.yaml: the container could change it"},
      {"/run/ok.yaml", "annotation moat.dev/policy: /run/ok.yaml: is not in a volume of files"},
      {"/ro/out.yaml", "annotation moat.dev/policy: /ro/out.yaml: a symlink leads out"},
      {"/ro/up.yaml", "annotation moat.dev/policy: /ro/up.yaml: a symlink leads out"},
      {"/ro/pipe", "annotation moat.dev/policy: /ro/pipe: is not a regular file"},
      {"/ro/folder", "annotation moat.dev/policy: /ro/folder: is not a regular file"},
      {"/ro", "annotation moat.dev/policy: /ro: is not a regular file"},
      {"/ro/absent.yaml", "annotation moat.dev/policy: /ro/absent.yaml: absent.yaml: No such"},
      {"/ro/long.yaml", "annotation moat.dev/policy: /ro/long.yaml: longer than 1048576 bytes"},
      {"/ro/bad.yaml", "/ro/bad.yaml:4:"},
  };
  for (const auto& c : cases) {
    annotate("moat.dev/policy", c.path);
    EXPECT_TRUE(error().starts_with(c.error)) << error();
  }
  annotate("moat.dev/policy", "/ro/ok.yaml");
  EXPECT_EQ(error(), "no error");
}

TEST_F(SelectTest, PinsAPolicyByEitherDigest) {
  dir.file("v/own.yaml", kOwn);
  mount("/ro", "v", "ro");
  annotate("moat.dev/policy", "/ro/own.yaml");
  const std::string digest = (*choose())->digest;
  for (const std::string& good : {digest, sha256_hex(kOwn)}) {
    annotate("moat.dev/policy-sha256", good);
    EXPECT_EQ(error(), "no error");
  }
  annotate("moat.dev/policy-sha256", std::string(64, '0'));
  EXPECT_NE(error().find("'own' is not the one that was pinned: its digest is " + digest),
            std::string::npos)
      << error();
}

TEST_F(SelectTest, SaysWhichProfilesThereAre) {
  annotate("moat.dev/profile", "pyhton");
  EXPECT_NE(error().find("builtin/python"), std::string::npos) << error();
  annotate("moat.dev/profile", "node/absent");
  EXPECT_NE(error().find("profile node/absent: " + dir.at("policies/absent.yaml")),
            std::string::npos)
      << error();
  annotate("moat.dev/policy", "/x");
  EXPECT_TRUE(error().starts_with("annotations moat.dev/policy and moat.dev/profile")) << error();
}

TEST_F(SelectTest, RefusesWhatLoosensWithoutTheAdministratorsLeave) {
  const std::pair<const char*, const char*> cases[] = {
      {"moat.dev/allow-connect", "10.0.0.1:443"},
      {"moat.dev/allow-write", "/out"},
      {"moat.dev/allow-exec", "/bin/sh"},
      {"moat.dev/failure-policy", "open"},
  };
  for (const auto& [key, value] : cases) {
    annotate(key, value);
    EXPECT_TRUE(error().starts_with("annotation " + std::string(key) + ": loosens")) << error();
    config["annotations"].erase(key);
  }
}

TEST_F(SelectTest, StartsWithoutAMechanismOnlyWhereNodeAndPodAgree) {
  const auto fails_open = [&](FailurePolicy policy, const char* asked) {
    node.failure_policy = policy;
    config["annotations"].erase("moat.dev/failure-policy");
    if (asked != nullptr) annotate("moat.dev/failure-policy", asked);
    const auto selection = selected();
    return selection.fail_open;
  };
  EXPECT_FALSE(fails_open(FailurePolicy::Closed, nullptr));
  EXPECT_FALSE(fails_open(FailurePolicy::Closed, "closed"));
  EXPECT_FALSE(fails_open(FailurePolicy::Pod, nullptr));
  EXPECT_TRUE(fails_open(FailurePolicy::Pod, "open"));
  EXPECT_TRUE(fails_open(FailurePolicy::Open, nullptr));
  EXPECT_TRUE(fails_open(FailurePolicy::Open, "open"));
  EXPECT_FALSE(fails_open(FailurePolicy::Open, "closed"));
}

TEST_F(SelectTest, NoSessionStartsWhereSomebodySaysSoWhateverTheyWouldBeHeldTo) {
  dir.file("policies/held.yaml",
           std::string(kHead) +
               "metadata: {name: held}\nspec: {extends: [builtin/python], sessions: "
               "{boundary: {}}}\n");
  annotate("moat.dev/profile", "node/held");
  EXPECT_NE(selected().policy.session_boundary(), nullptr);
  annotate("moat.dev/sessions", "audit");
  EXPECT_NE(selected().policy.session_boundary(), nullptr);
  EXPECT_EQ(selected().policy.sessions(), Sessions::Deny);
  annotate("moat.dev/sessions", "deny");
  EXPECT_EQ(selected().policy.session_boundary(), nullptr);
}

TEST_F(SelectTest, LetsNobodyGoBelowTheFloorsMode) {
  dir.file("floor.yaml", std::string(kHead) +
                             "metadata: {name: f}\n"
                             "spec: {mode: enforce, sessions: audit}\n");
  for (const char* mode : {"off", "audit", "learn", "enforce"}) {
    annotate("moat.dev/mode", mode);
    const auto selection = choose();
    ASSERT_TRUE(selection && *selection) << mode;
    EXPECT_EQ((*selection)->mode, Mode::Enforce) << mode;
    EXPECT_EQ((*selection)->policy.sessions(), Sessions::Audit) << mode;
  }
  annotate("moat.dev/containers", "other");
  EXPECT_EQ((*choose())->mode, Mode::Enforce) << "nor by leaving a container out";

  dir.file("floor.yaml", std::string(kHead) + "metadata: {name: f}\nspec: {mode: audit}\n");
  annotate("moat.dev/mode", "learn");
  config["annotations"].erase("moat.dev/containers");
  EXPECT_EQ((*choose())->mode, Mode::Learn) << "as strict as audit";
}

TEST_F(SelectTest, NeverPassesOverAFloorItCannotApply) {
  annotate("moat.dev/mode", "off");
  dir.file("floor.yaml", std::string(kHead) +
                             "metadata: {name: f}\n"
                             "spec: {phases: {serve: {process: {exec: []}}}}\n");
  EXPECT_TRUE(error().starts_with("floor: " + dir.at("floor.yaml") + " states more than"))
      << error();
  dir.file("floor.yaml", "not a policy");
  EXPECT_TRUE(error().starts_with("floor: ")) << error();
  std::filesystem::remove(dir.at("floor.yaml"));
  dir.folder("floor.yaml");
  EXPECT_TRUE(error().starts_with("floor: ")) << error();
}

}  // namespace
}  // namespace moat::oci
