#include "oci/rootfs.h"

#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/walk.h"
#include "tests/support/temp_dir.h"

namespace moat::oci {
namespace {

using Texts = std::vector<std::string>;

// An image beside a secret of the host, which no path of the image may reach.
struct RootfsTest : ::testing::Test {
  test::TempDir dir;
  UniqueFd root;

  RootfsTest() {
    dir.file("secret/key", "the host's");
    dir.folder("r");
    root = std::move(*open_root(dir.at("r")));
  }
  std::string text_of(const Result<std::string>& read) const {
    return read ? *read : "error: " + read.error().what;
  }
  mode_t mode_of(const std::string& name) const {
    struct stat info {};
    return ::lstat(dir.at(name).c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
};

TEST_F(RootfsTest, FollowsSymlinksAsTheContainerWould) {
  dir.folder("r/var/tmp");
  dir.folder("r/opt/m/v1");
  dir.link("r/tmp", "/var/tmp");
  dir.link("r/models", "opt/m");
  dir.link("r/opt/m/current", "v1");
  dir.link("r/up", "../../../../opt");
  dir.link("r/chain", "/models/current");
  dir.link("r/gone", "/not/here");
  dir.file("r/opt/m/v1/weights", "x");
  dir.fifo("r/pipe");
  const struct {
    const char *path, *leads_to;
    bool exists, directory;
  } cases[] = {
      {"/", "/", true, true},
      {"/opt//m/./v1/", "/opt/m/v1", true, true},
      {"/tmp", "/var/tmp", true, true},
      {"/tmp/new", "/var/tmp/new", false, false},
      {"/models/current", "/opt/m/v1", true, true},
      {"/models/current/weights", "/opt/m/v1/weights", true, false},
      {"/chain/../x", "/opt/m/x", false, false},
      {"/up/m", "/opt/m", true, true},
      {"/gone/x", "/not/here/x", false, false},
      {"/../../opt", "/opt", true, true},
      {"/nowhere/../opt", "/opt", true, true},
  };
  for (const auto& c : cases) {
    const auto walked = walk(root.raw(), c.path, {});
    ASSERT_TRUE(walked) << c.path << ": " << walked.error().what;
    EXPECT_EQ(walked->path, c.leads_to) << c.path;
    EXPECT_EQ(walked->exists, c.exists) << c.path;
    EXPECT_EQ(walked->directory, c.directory) << c.path;
    EXPECT_FALSE(walked->in_mount) << c.path;
  }
  EXPECT_TRUE(walk(root.raw(), "/pipe", {})->special);
}

TEST_F(RootfsTest, StopsAskingTheImageWhereSomethingIsMounted) {
  dir.link("r/data/models", "/secret");  // hidden by the volume
  dir.link("r/var/run", "/run");
  const Texts points{"/data", "/run/x"};
  const auto on = walk(root.raw(), "/data/models/a", points);
  ASSERT_TRUE(on);
  EXPECT_EQ(on->path, "/data/models/a");
  EXPECT_TRUE(on->in_mount);
  const auto linked = walk(root.raw(), "/var/run/x", points);
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->path, "/run/x");
  EXPECT_TRUE(linked->in_mount);
  EXPECT_FALSE(walk(root.raw(), "/var/run/y", points)->in_mount);
}

TEST_F(RootfsTest, NeverLeavesTheRoot) {
  dir.link("r/absolute", dir.at("secret"));
  dir.link("r/relative", "../secret");
  dir.link("r/far", "../../../../../../../.." + dir.at("secret"));
  dir.link("r/sub/etc", "/etc");
  dir.link("r/magic", "/proc/self/root/etc");
  for (const char* path : {"absolute/key", "relative/key", "far/key", "../secret/key",
                           "sub/etc/passwd", "magic/passwd", "/etc/passwd"}) {
    const auto read = read_in_root(root.raw(), path, 1 << 20);
    EXPECT_FALSE(read) << path << " gave " << text_of(read);
    EXPECT_FALSE(walk(root.raw(), std::string("/") + path, {})->exists) << path;
  }
}

TEST_F(RootfsTest, EndsAtLoopsAndAtFilesInTheMiddle) {
  dir.link("r/a", "b");
  dir.link("r/b", "a");
  dir.link("r/self", "self/self");
  dir.file("r/file", "x");
  for (const char* path : {"/a", "/self", "/file/x"})
    EXPECT_FALSE(walk(root.raw(), path, {})) << path;
  EXPECT_EQ(walk(root.raw(), "/a", {}).error().err, ELOOP);
  EXPECT_EQ(walk(root.raw(), "/file/x", {}).error().err, ENOTDIR);
}

TEST_F(RootfsTest, BoundsSymlinksThatMultiply) {
  // Each doubles what is left of the path: without a bound 2^30 steps.
  for (int i = 0; i < 30; ++i) {
    const std::string next = "l" + std::to_string(i + 1);
    dir.link("r/l" + std::to_string(i), next + "/../" + next);
  }
  dir.folder("r/l30");
  EXPECT_EQ(walk(root.raw(), "/l0", {}).error().err, ELOOP);
}

TEST_F(RootfsTest, RefusesNamesThatAJsonTextCannotHold) {
  dir.link("r/x", "\xff\xfe");
  EXPECT_FALSE(walk(root.raw(), "/x", {}));
}

TEST_F(RootfsTest, ReadsRegularFilesOnly) {
  dir.file("r/ok", "text");
  dir.file("r/long", std::string(100, 'x'));
  dir.fifo("r/pipe");
  dir.folder("r/folder");
  EXPECT_EQ(text_of(read_in_root(root.raw(), "ok", 10)), "text");
  EXPECT_FALSE(read_in_root(root.raw(), "long", 99));
  EXPECT_FALSE(read_in_root(root.raw(), "pipe", 99)) << "and did not wait for a writer";
  EXPECT_FALSE(read_in_root(root.raw(), "folder", 99));
}

TEST_F(RootfsTest, MakesMissingFoldersWithOwnerAndMode) {
  const Owner me{::geteuid() == 0 ? 1234 : ::geteuid(), ::getegid()};
  const mode_t before = ::umask(077);
  ASSERT_TRUE(make_folders(root.raw(), "root/.cache/x", 0755, me));
  ASSERT_TRUE(make_folders(root.raw(), "tmp", 01777, me));
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(dir.at("r/root/.cache/x").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, me.uid);
  EXPECT_EQ(mode_of("r/root/.cache/x"), 0755U);
  EXPECT_EQ(mode_of("r/tmp"), 01777U);
}

TEST_F(RootfsTest, LeavesFoldersThatExistAsTheyAre) {
  dir.folder("r/tmp");
  ASSERT_EQ(::chmod(dir.at("r/tmp").c_str(), 0700), 0);
  ASSERT_TRUE(make_folders(root.raw(), "tmp", 01777, {}));
  EXPECT_EQ(mode_of("r/tmp"), 0700U);
}

TEST_F(RootfsTest, MakesNothingThroughSymlinksOrAboveTheRoot) {
  dir.link("r/out", dir.at("secret"));
  dir.link("r/rel", "../secret");
  dir.link("r/in", "/inside");
  dir.folder("r/inside");
  dir.file("r/file", "x");
  for (const char* path : {"out/made", "rel/made", "in/made", "../secret/made", "file/made"})
    EXPECT_FALSE(make_folders(root.raw(), path, 0755, {})) << path;
  EXPECT_FALSE(dir.has("secret/made"));
  EXPECT_FALSE(dir.has("r/inside/made"));
}

TEST_F(RootfsTest, FindsTheHomeTheRuntimeWouldSet) {
  const std::string passwd =
      "root:x:0:0:root:/root:/bin/sh\nbad line\n::\nu:x:1000:100::/home/u:\n";
  dir.file("r/etc/passwd", passwd + "v:x:1001:1:,,,:relative:/bin/sh\nw:x:1002:1::/a/../b:/bin/sh");
  const struct {
    const char *process, *home;
  } cases[] = {
      {R"({"env":["HOME=/home/me/"],"user":{"uid":1000}})", "/home/me"},
      {R"({"env":["HOME="],"user":{"uid":1000}})", "/home/u"},
      {R"({"env":["HOME=elsewhere"],"user":{"uid":1000}})", "/home/u"},
      {R"({"user":{"uid":0}})", "/root"},
      {R"({"user":{"uid":1001}})", "/"},
      {R"({"user":{"uid":1002}})", "/"},
      {R"({"user":{"uid":4242}})", "/"},
      {R"({})", "/root"},
  };
  for (const auto& c : cases) {
    const auto spec = Spec::parse(std::string(R"({"process":)") + c.process + "}");
    ASSERT_TRUE(spec) << c.process;
    EXPECT_EQ(home_of(root.raw(), *spec), c.home) << c.process;
  }
}

TEST_F(RootfsTest, TakesNoHomeFromAPasswdThatIsATrap) {
  const auto spec = Spec::parse(R"({"process":{"user":{"uid":0}}})");
  dir.fifo("r/etc/passwd");
  EXPECT_EQ(home_of(root.raw(), *spec), "/") << "and did not wait for a writer";
  std::filesystem::remove(dir.at("r/etc/passwd"));
  dir.link("r/etc/passwd", "/proc/self/root/etc/passwd");
  EXPECT_EQ(home_of(root.raw(), *spec), "/");
  std::filesystem::remove(dir.at("r/etc/passwd"));
  dir.file("r/etc/passwd", std::string(2 << 20, 'x') + "\nroot:x:0:0::/evil:\n");
  EXPECT_EQ(home_of(root.raw(), *spec), "/");
}

}  // namespace
}  // namespace moat::oci
