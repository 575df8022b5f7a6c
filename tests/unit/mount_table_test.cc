#include "shim/supervise/mount_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "shim/supervise/mount_watch.h"

namespace moat::shim {
namespace {

constexpr std::string_view kText =
    "2101 2054 0:87 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b,upperdir=/c,workdir=/d\n"
    "2102 2101 0:90 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
    "2107 2101 254:0 /srv/m /models ro,relatime shared:5 master:1 - ext4 /dev/vda rw\n"
    "2108 2101 254:0 /x /with\\040space\\134and\\012line rw - ext4 /dev/vda rw\n";

TEST(MountTable, ReadsPointTypeAndFlagsOfEachLine) {
  const auto mounts = parse_mountinfo(kText);
  ASSERT_TRUE(mounts) << mounts.error().what;
  ASSERT_EQ(mounts->size(), 4U);
  EXPECT_EQ((*mounts)[0].id, 2101U);
  EXPECT_EQ((*mounts)[0].point, "/");
  EXPECT_FALSE((*mounts)[0].readonly);
  EXPECT_EQ((*mounts)[2].device + " " + (*mounts)[2].root, "254:0 /srv/m");
  EXPECT_EQ((*mounts)[1].fstype, "proc");
  EXPECT_TRUE((*mounts)[2].readonly);
  EXPECT_EQ((*mounts)[2].source, "/dev/vda");
  EXPECT_EQ((*mounts)[3].point, "/with space\\and\nline");
}

TEST(MountTable, RefusesWhatItDoesNotUnderstand) {
  for (const char* bad : {"garbage\n", "1 2 0:1 / / rw overlay overlay rw\n",
                          "x 2 0:1 / / rw - overlay overlay rw\n", "1 2 0:1 / / rw -\n"})
    EXPECT_FALSE(parse_mountinfo(bad)) << bad;
}

TEST(MountTable, KnowsKernelInterfacesByTypeNotByPlace) {
  EXPECT_TRUE(is_kernel_interface({1, "/anywhere", "proc", false}));
  EXPECT_FALSE(is_kernel_interface({1, "/sys/power", "ext4", false})) << "a volume of the pod";
  EXPECT_FALSE(is_kernel_interface({1, "/process", "ext4", false}));
  EXPECT_FALSE(is_kernel_interface({1, "/", "overlay", false}));
}

TEST(MountTable, BelowIsByComponent) {
  EXPECT_TRUE(is_below("/a/b", "/a"));
  EXPECT_TRUE(is_below("/a", "/a"));
  EXPECT_TRUE(is_below("/a", "/"));
  EXPECT_FALSE(is_below("/ab", "/a"));
}

TEST(MountTable, WhatTurnsReadOnlyIsAllButIslandsAndTheKernelsInterfaces) {
  const std::vector<std::string> islands{"/tmp"};
  EXPECT_TRUE(is_held({1, "/", "overlay", false}, islands, false));
  EXPECT_FALSE(is_held({1, "/tmp", "ext4", false}, islands, false));
  EXPECT_TRUE(is_held({1, "/tmp/below", "ext4", false}, islands, false));
  EXPECT_TRUE(is_held({1, "/sys", "sysfs", false}, islands, false));
  EXPECT_FALSE(is_held({1, "/dev/pts", "devpts", false}, islands, false));
  EXPECT_TRUE(is_held({1, "/proc", "proc", false}, islands, false));
  EXPECT_FALSE(is_held({1, "/proc", "proc", false}, islands, true));
}

TEST(MountWatch, TellsWhatHasArrivedWhatIsGoneAndNothingElse) {
  const std::vector<MountEntry> before{{1, "/", "overlay", false}, {2, "/a", "tmpfs", false}};
  const auto same = changes_between(before, {{1, "/", "overlay", true}, {2, "/a", "tmpfs", true}});
  EXPECT_TRUE(same.arrived.empty() && same.gone.empty()) << "flags are our own doing";
  const auto more = changes_between(before, {before[0], before[1], {3, "/a/b", "tmpfs", false}});
  ASSERT_EQ(more.arrived.size(), 1U);
  EXPECT_EQ(more.arrived[0].point, "/a/b");
  EXPECT_TRUE(more.gone.empty());
  const auto moved = changes_between(before, {before[0], {2, "/c", "tmpfs", false}});
  ASSERT_EQ(moved.arrived.size(), 1U);
  ASSERT_EQ(moved.gone.size(), 1U);
  EXPECT_EQ(moved.gone[0].point, "/a");
}

TEST(MountTable, ReadsTheKernelsOwn) {
  const auto mounts = mounts_of(::getpid());
  ASSERT_TRUE(mounts) << mounts.error().what;
  EXPECT_FALSE(mounts->empty());
}

}  // namespace
}  // namespace moat::shim
