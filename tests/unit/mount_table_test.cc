#include "shim/supervise/mount_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

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

TEST(MountTable, ReadsTheKernelsOwn) {
  const auto mounts = mounts_of(::getpid());
  ASSERT_TRUE(mounts) << mounts.error().what;
  EXPECT_FALSE(mounts->empty());
}

}  // namespace
}  // namespace moat::shim
