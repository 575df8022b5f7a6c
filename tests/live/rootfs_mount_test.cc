// Mounts as snapshotters ask for them, made for real in a mount namespace of the test's own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstdlib>

#include "oci/sys.h"
#include "shim/task/mounts.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

class RootfsMounts : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount("none", "/", "", MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("none", dir.path().c_str(), "tmpfs", 0, "size=64m"), 0);
    dir.folder("rootfs");
  }
  void TearDown() override {
    EXPECT_TRUE(unmount_tree(rootfs()));
    ::umount(dir.path().c_str());
  }

  [[nodiscard]] std::string rootfs() const { return dir.at("rootfs"); }
  [[nodiscard]] std::string text(const std::string& name) const {
    return oci::read_file(rootfs() + "/" + name).value_or("");
  }
  [[nodiscard]] uid_t owner(const std::string& name) const {
    struct stat status {};
    return ::stat((rootfs() + "/" + name).c_str(), &status) == 0 ? status.st_uid : ~0U;
  }
  [[nodiscard]] std::string mountinfo() const {
    return oci::read_file("/proc/self/mountinfo", 8U << 20).value_or("");
  }
  // The line of the root file system's mount.
  [[nodiscard]] std::string mount_line() const {
    std::istringstream lines(mountinfo());
    for (std::string line; std::getline(lines, line);)
      if (line.find(" " + rootfs() + " ") != std::string::npos) return line;
    return {};
  }

  // An overlay of `count` layers; each has a file of its number, all have one called "top".
  [[nodiscard]] RootfsMount overlay(int count) const {
    std::string lower;
    for (int i = count; i > 0; --i) {
      const std::string layer =
          "io.containerd.snapshotter.v1.overlayfs/snapshots/" + std::to_string(1000 + i) + "/fs";
      dir.file(layer + "/" + std::to_string(i), std::to_string(i));
      dir.file(layer + "/top", std::to_string(i));
      lower += (lower.empty() ? "" : ":") + dir.at(layer);
    }
    dir.folder("upper");
    dir.folder("work");
    return {"overlay",
            "overlay",
            "",
            {"workdir=" + dir.at("work"), "upperdir=" + dir.at("upper"), "lowerdir=" + lower}};
  }

  test::TempDir dir;
};

TEST_F(RootfsMounts, AHundredLayersFitIntoThePageTheKernelCopies) {
  const RootfsMount mount = overlay(100);
  std::size_t size = 0;
  for (const std::string& option : mount.options) size += option.size();
  ASSERT_GT(size, 4096U) << "the options must exceed the page to show anything";
  const auto mounted = mount_rootfs(rootfs(), {mount});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_EQ(text("1"), "1");
  EXPECT_EQ(text("100"), "100");
  EXPECT_EQ(text("top"), "100") << "the first of lowerdir is the uppermost";
}

TEST_F(RootfsMounts, OneLayerTooManyIsNamedAndNothingStays) {
  RootfsMount mount = overlay(2);
  mount.options.push_back("lowerdir=" + std::string(5000, 'x'));
  const auto mounted = mount_rootfs(rootfs(), {mount});
  ASSERT_FALSE(mounted);
  EXPECT_NE(mounted.error().what.find("mount options is too long"), std::string::npos)
      << mounted.error().what;
  EXPECT_EQ(mount_line(), "");
}

TEST_F(RootfsMounts, AnOverlaysLayersShowOtherOwners) {
  RootfsMount mount = overlay(3);
  mount.options.insert(mount.options.end(), {"uidmap=0:100000:65536", "gidmap=0:100000:65536"});
  EXPECT_TRUE(takes_time(mount));
  const auto mounted = mount_rootfs(rootfs(), {mount});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_EQ(owner("2"), 100000U);
  EXPECT_EQ(text("top"), "3");
  for (const std::string& point : mount_points_under(mountinfo(), "/tmp"))
    EXPECT_EQ(point.find("moat-layers-"), std::string::npos)
        << "the copy is only passing: " << point;
}

TEST_F(RootfsMounts, ABindMountShowsOtherOwners) {
  dir.file("data/file", "x");
  const auto mounted = mount_rootfs(
      rootfs(), {{"bind", dir.at("data"), "", {"rbind", "uidmap=0:5000:10", "gidmap=0:6000:10"}}});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_EQ(owner("file"), 5000U);
}

TEST_F(RootfsMounts, HalfAMapAndABrokenOneAreNamed) {
  dir.folder("data");
  const auto half =
      mount_rootfs(rootfs(), {{"bind", dir.at("data"), "", {"bind", "uidmap=0:1:1"}}});
  ASSERT_FALSE(half);
  EXPECT_NE(half.error().what.find("needs both uidmap= and gidmap="), std::string::npos);
  const auto broken = mount_rootfs(
      rootfs(), {{"bind", dir.at("data"), "", {"bind", "uidmap=0-1", "gidmap=0:1:1"}}});
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().what.find("\"0-1\": expected inside:outside:count"), std::string::npos);
  EXPECT_EQ(mount_line(), "");
}

TEST_F(RootfsMounts, AnImageFileIsMountedAndItsDeviceFreesItself) {
  dir.folder("tree");
  dir.file("tree/file", "in the image");
  const std::string image = dir.at("image");
  ASSERT_EQ(std::system(("mkfs.ext4 -q -d " + dir.at("tree") + " " + image + " 4M").c_str()), 0);
  const auto mounted = mount_rootfs(rootfs(), {{"ext4", image, "", {"loop", "ro"}}});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_EQ(text("file"), "in the image");
  const std::string line = mount_line();
  const std::size_t at = line.find("/dev/loop");
  ASSERT_NE(at, std::string::npos) << line;
  const std::string number = line.substr(at + 9, line.find(' ', at) - at - 9);
  ASSERT_TRUE(unmount_tree(rootfs()));
  const std::string backing = "/sys/block/loop" + number + "/loop/backing_file";
  for (int i = 0; i < 100 && oci::read_file(backing); ++i) ::usleep(20000);
  EXPECT_FALSE(oci::read_file(backing)) << "the device is still in use";
}

TEST_F(RootfsMounts, AFuseProgramServesARootFileSystem) {
  dir.file("lower/file", "by fuse");
  dir.folder("upper");
  dir.folder("work");
  const RootfsMount mount{
      "fuse3.fuse-overlayfs",
      "overlay",
      "",
      {"lowerdir=" + dir.at("lower"), "upperdir=" + dir.at("upper"), "workdir=" + dir.at("work")}};
  EXPECT_TRUE(takes_time(mount));
  const auto mounted = mount_rootfs(rootfs(), {mount});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_EQ(text("file"), "by fuse");
  EXPECT_NE(mount_line().find(" fuse.fuse-overlayfs "), std::string::npos) << mount_line();
}

TEST_F(RootfsMounts, AFuseProgramThatFailsSaysWhy) {
  const auto mounted = mount_rootfs(
      rootfs(), {{"fuse3.fuse-overlayfs", "overlay", "", {"lowerdir=" + dir.at("none")}}});
  ASSERT_FALSE(mounted);
  EXPECT_NE(mounted.error().what.find("mount.fuse3 failed: "), std::string::npos)
      << mounted.error().what;
}

TEST_F(RootfsMounts, ABindMountCanBeReadOnlyAndShared) {
  dir.file("data/file", "x");
  const auto mounted =
      mount_rootfs(rootfs(), {{"bind", dir.at("data"), "", {"rbind", "ro", "nosuid", "rshared"}}});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_NE(mount_line().find(" ro,nosuid,"), std::string::npos) << mount_line();
  EXPECT_NE(mount_line().find(" shared:"), std::string::npos) << mount_line();
}

TEST_F(RootfsMounts, AComponentGoesBelowTheRootWhateverLinksTheImageHas) {
  dir.file("base/etc/x", "x");
  dir.folder("outside");
  dir.link("base/out", dir.at("outside"));
  dir.folder("base" + dir.at("outside"));
  dir.file("data/file", "x");
  const auto mounted = mount_rootfs(rootfs(), {{"bind", dir.at("base"), "", {"rbind"}},
                                               {"bind", dir.at("data"), "out", {"bind"}}});
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_FALSE(dir.has("outside/file")) << "an image's link led out of the root";
  EXPECT_TRUE(std::filesystem::exists(rootfs() + dir.at("outside") + "/file"));
}

TEST_F(RootfsMounts, TheListSurvivesTheWayToTheHelper) {
  const std::vector<RootfsMount> mounts{{"overlay", "overlay", "", {"lowerdir=/a:/b", "loop"}},
                                        {"bind", "/x y", "etc", {}}};
  const auto back = mounts_of_json(to_json(mounts));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ((*back)[0].options, mounts[0].options);
  EXPECT_EQ((*back)[1].source, "/x y");
  EXPECT_FALSE(mounts_of_json("{}"));
}

}  // namespace
}  // namespace moat::shim
