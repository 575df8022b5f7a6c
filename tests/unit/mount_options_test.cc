#include "oci/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include "shim/task/mounts.h"

namespace moat::oci {
namespace {

TEST(MountOptions, AreFlagsPropagationAndData) {
  struct Case {
    std::vector<std::string> options;
    unsigned long flags, propagation;
    std::string data;
  };
  const Case cases[] = {
      {{}, 0, 0, ""},
      {{"ro", "nosuid"}, MS_RDONLY | MS_NOSUID, 0, ""},
      {{"ro", "rw"}, 0, 0, ""},
      {{"nodev", "dev", "noexec"}, MS_NOEXEC, 0, ""},
      {{"rbind", "ro", "rslave"}, MS_BIND | MS_REC | MS_RDONLY, MS_SLAVE | MS_REC, ""},
      {{"lowerdir=/a:/b", "upperdir=/u", "workdir=/w"},
       0,
       0,
       "lowerdir=/a:/b,upperdir=/u,workdir=/w"},
      {{"size=64k", "mode=755", "defaults"}, 0, 0, "size=64k,mode=755"},
      {{"", "roo"}, 0, 0, "roo"},
  };
  for (const Case& c : cases) {
    const MountOptions parsed = parse_mount_options(c.options);
    EXPECT_EQ(parsed.flags, c.flags) << c.data;
    EXPECT_EQ(parsed.propagation, c.propagation) << c.data;
    EXPECT_EQ(parsed.data, c.data);
  }
}

TEST(MountOptions, LoopAndIdMapsAreNotData) {
  const MountOptions parsed = parse_mount_options({"loop", "uidmap=0:1000:1", "gidmap=0:1:1"});
  EXPECT_TRUE(parsed.loop);
  EXPECT_EQ(parsed.uid_map, "0:1000:1");
  EXPECT_EQ(parsed.gid_map, "0:1:1");
  EXPECT_EQ(parsed.data, "");
}

TEST(MountOptions, AReadOnlyBindNeedsASecondCall) {
  EXPECT_TRUE(needs_bind_remount(parse_mount_options({"bind", "ro"})));
  EXPECT_TRUE(needs_bind_remount(parse_mount_options({"rbind", "nosuid"})));
  EXPECT_FALSE(needs_bind_remount(parse_mount_options({"rbind", "rw"})));
  EXPECT_FALSE(needs_bind_remount(parse_mount_options({"ro"})));
  EXPECT_FALSE(needs_bind_remount(parse_mount_options({"bind", "ro", "remount"})));
}

TEST(MountOptions, ManyLayersAreNamedFromTheirCommonFolder) {
  const auto compact = compact_overlay(
      "workdir=/var/s/9/work,lowerdir=/var/s/1/fs:/var/s/12/fs,upperdir=/var/s/9/fs");
  EXPECT_EQ(compact.folder, "/var/s/");
  EXPECT_EQ(compact.data, "workdir=/var/s/9/work,upperdir=/var/s/9/fs,lowerdir=1/fs:12/fs");
}

TEST(MountOptions, NothingToShortenStaysAsItIs) {
  for (const char* data : {"size=1k", "lowerdir=rel:/abs", ""}) {
    const auto compact = compact_overlay(data);
    EXPECT_EQ(compact.folder, "") << data;
    EXPECT_EQ(compact.data, data);
  }
}

TEST(MountOptions, MountPointsBelowAFolderAreFoundInMountinfo) {
  const char* mountinfo =
      "22 1 0:20 / / rw - overlay overlay rw\n"
      "30 22 0:30 / /b/rootfs rw,relatime - overlay overlay rw\n"
      "31 30 0:31 / /b/rootfs/a\\040b rw - tmpfs tmpfs rw\n"
      "32 22 0:32 / /b/rootfs2 rw - tmpfs tmpfs rw\n";
  EXPECT_EQ(shim::mount_points_under(mountinfo, "/b/rootfs"),
            (std::vector<std::string>{"/b/rootfs", "/b/rootfs/a b"}));
  EXPECT_TRUE(shim::mount_points_under(mountinfo, "/c").empty());
}

}  // namespace
}  // namespace moat::oci
