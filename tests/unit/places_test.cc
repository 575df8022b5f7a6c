#include "oci/places.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/sys.h"
#include "tests/support/temp_dir.h"

namespace moat::oci {
namespace {

using policies::Mode;
using Json = nlohmann::json;

struct PlacesTest : ::testing::Test {
  test::TempDir dir;
  Json config = {{"mounts", Json::array()},
                 {"process", {{"user", {{"uid", ::geteuid()}, {"gid", ::getegid()}}}}}};

  PlacesTest() {
    dir.folder("r");
    dir.folder("volume");
    dir.file("secret/key", "the host's");
  }
  void mount(const std::string& destination, const std::string& source, const char* access) {
    config["mounts"].push_back({{"destination", destination},
                                {"type", "bind"},
                                {"source", dir.at(source)},
                                {"options", {"rbind", access}}});
  }
  Result<Places> find(const std::vector<std::string>& models,
                      const std::vector<std::string>& scratch, Mode mode = Mode::Enforce,
                      const char* exec = "") {
    policies::Document document;
    document.name = "t";
    document.models = models;
    document.scratch = scratch;
    document.phases[0].emplace();
    if (*exec != '\0')
      document.phases[0]->of(policies::Action::ProcessExec) =
          policies::ActionRule{true, {exec}, {}};
    auto policy = policies::Policy::bind(document, {});
    if (!policy) return fail(Error(policy.error()));
    return find_places(*Spec::parse(config.dump()), dir.at("r"), *policy, mode);
  }
};

TEST_F(PlacesTest, InTheImageAreFoundThroughItsSymlinks) {
  dir.folder("r/opt/m");
  dir.link("r/models", "/opt/m");
  const auto places = find({"/models", "/absent"}, {});
  ASSERT_TRUE(places) << places.error().what;
  ASSERT_EQ(places->models.size(), 1U);
  EXPECT_EQ(places->models[0].path, "/models");
  EXPECT_EQ(places->models[0].resolved, "opt/m");
  EXPECT_TRUE(places->models[0].directory);
  EXPECT_TRUE(places->models[0].source.empty());
  EXPECT_EQ(places->notes, std::vector<std::string>{"model /absent: does not exist"});
}

TEST_F(PlacesTest, ForScratchAreMadeInEnforceOnly) {
  ASSERT_TRUE(find({}, {"/tmp", "/root/.cache"}, Mode::Audit));
  EXPECT_FALSE(dir.has("r/tmp"));
  const auto places = find({"/tmp"}, {"/tmp", "/root/.cache"});
  ASSERT_TRUE(places) << places.error().what;
  EXPECT_TRUE(dir.has("r/root/.cache"));
  struct stat info {};
  ASSERT_EQ(::stat(dir.at("r/tmp").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 01777U);
  EXPECT_EQ(places->scratch.size(), 2U);
  EXPECT_EQ(places->models.size(), 1U) << "a model that is scratch, too, exists by now";
}

TEST_F(PlacesTest, AreNotMadeInAReadOnlyImage) {
  config["root"] = {{"path", "rootfs"}, {"readonly", true}};
  ASSERT_TRUE(find({}, {"/tmp"}));
  EXPECT_FALSE(dir.has("r/tmp"));
}

TEST_F(PlacesTest, OnAVolumeNeedNothingFromTheDisk) {
  dir.link("r/var/run", "/run");
  mount("/var/run/models", "volume", "rw");
  const auto places = find({"/var/run/models"}, {});
  ASSERT_TRUE(places) << places.error().what;
  EXPECT_EQ(places->mount_points, std::vector<std::string>{"/run/models"});
  ASSERT_EQ(places->models.size(), 1U);
  EXPECT_EQ(places->models[0].resolved, "run/models");
  EXPECT_TRUE(places->models[0].source.empty());
}

TEST_F(PlacesTest, InAVolumeAreBoundFromWhereTheyWereFound) {
  dir.folder("volume/llama/v1");
  dir.link("volume/current", "llama/v1");
  mount("/data", "volume", "rw");
  const auto places = find({"/data/current"}, {"/data/new/cache"});
  ASSERT_TRUE(places) << places.error().what;
  ASSERT_EQ(places->models.size(), 1U);
  EXPECT_EQ(places->models[0].resolved, "data/llama/v1");
  EXPECT_EQ(places->models[0].source, dir.at("volume/llama/v1"));
  ASSERT_EQ(places->scratch.size(), 1U);
  EXPECT_EQ(places->scratch[0].source, dir.at("volume/new/cache"));
  EXPECT_TRUE(dir.has("volume/new/cache"));
  EXPECT_EQ(places->held.size(), 2U);
}

// The test's own root stands for the container's.
TEST_F(PlacesTest, ThatWereSwappedBeforeTheyWereMountedAreNoticed) {
  dir.folder("volume/m");
  config["mounts"].push_back({{"destination", dir.at("volume")},
                              {"type", "bind"},
                              {"source", dir.at("volume")},
                              {"options", {"rbind", "rw"}}});
  const auto places = find({dir.at("volume/m")}, {});
  ASSERT_TRUE(places) << places.error().what;
  ASSERT_EQ(places->held.size(), 1U);
  EXPECT_TRUE(verify_places(places->held, ::getpid()));
  std::filesystem::rename(dir.at("volume/m"), dir.at("volume/moved"));
  EXPECT_FALSE(verify_places(places->held, ::getpid())) << "gone";
  dir.link("volume/m", dir.at("secret"));
  EXPECT_FALSE(verify_places(places->held, ::getpid())) << "a link to the host";
  std::filesystem::remove(dir.at("volume/m"));
  dir.folder("volume/m");
  EXPECT_FALSE(verify_places(places->held, ::getpid())) << "another folder";
  EXPECT_FALSE(verify_places(places->held, 0x7fffffff)) << "no such process";
  EXPECT_TRUE(verify_places({}, 0x7fffffff)) << "nothing to look at";
}

TEST_F(PlacesTest, NeverLeaveTheirVolume) {
  dir.link("volume/absolute", dir.at("secret"));
  dir.link("volume/relative", "../secret");
  dir.link("volume/loop", "loop");
  dir.link("volume/dangling", "../secret/made");
  mount("/data", "volume", "rw");
  for (const char* path : {"/data/absolute", "/data/relative", "/data/loop", "/data/relative/new",
                           "/data/dangling", "/data/dangling/x"}) {
    EXPECT_FALSE(find({}, {path})) << path;
    const auto audit = find({path}, {}, Mode::Audit);
    ASSERT_TRUE(audit) << "audit does not fail a pod";
    EXPECT_TRUE(audit->models.empty()) << path;
    EXPECT_EQ(audit->notes.size(), 1U) << path;
  }
  EXPECT_FALSE(dir.has("secret/made"));
  EXPECT_FALSE(dir.has("secret/new"));
}

TEST_F(PlacesTest, AreNotMadeInAReadOnlyVolume) {
  mount("/data", "volume", "ro");
  const auto places = find({}, {"/data/cache"});
  ASSERT_TRUE(places) << places.error().what;
  EXPECT_FALSE(dir.has("volume/cache"));
  EXPECT_TRUE(places->held.empty());
}

TEST_F(PlacesTest, ThatAreNeitherFolderNorFileAreRefused) {
  dir.fifo("r/pipe");
  EXPECT_FALSE(find({"/pipe"}, {}));
  EXPECT_TRUE(find({"/pipe"}, {}, Mode::Audit));
}

TEST_F(PlacesTest, HaveTheMountPointsOfVolumesInThem) {
  dir.folder("r/models");
  mount("/models/lora", "volume", "rw");
  ASSERT_TRUE(find({"/models"}, {}));
  EXPECT_TRUE(dir.has("r/models/lora")) << "the runtime could not make it in a read-only mount";

  dir.folder("base");
  mount("/base", "base", "rw");
  mount("/base/lora", "volume", "rw");
  ASSERT_TRUE(find({"/base"}, {}, Mode::Audit));
  EXPECT_FALSE(dir.has("base/lora"));
  ASSERT_TRUE(find({"/base"}, {}));
  EXPECT_TRUE(dir.has("base/lora"));
}

TEST_F(PlacesTest, MayRunFilesOnlyWhereThePolicySaysSo) {
  const struct {
    const char *exec, *scratch;
    bool allowed;
  } cases[] = {
      {"@image", "/scratch", false},     {"/usr/bin/*", "/scratch", false},
      {"/scratch/**", "/scratch", true}, {"/scratch/jit/x", "/scratch", true},
      {"@scratch", "/scratch", true},    {"/**", "/scratch", true},
  };
  for (const auto& c : cases) {
    const auto places = find({}, {c.scratch}, Mode::Enforce, c.exec);
    ASSERT_TRUE(places) << c.exec << ": " << places.error().what;
    EXPECT_EQ(places->scratch.at(0).exec, c.allowed) << c.exec;
  }
}

TEST_F(PlacesTest, NeedARootFileSystem) {
  std::filesystem::remove(dir.at("r"));
  const auto places = find({}, {});
  ASSERT_FALSE(places);
  EXPECT_TRUE(places.error().what.starts_with("root file system: " + dir.at("r")))
      << places.error().what;
}

}  // namespace
}  // namespace moat::oci
