#include "shim/supervise/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace moat::shim {
namespace {

constexpr const char* kInit =
    "12:pids:/default/c1\n"
    "1:name=systemd:/default/c1\n"
    "0::/default/c1\n";

TEST(Membership, HoldsTheContainersTasksAndThoseInCgroupsBelow) {
  const Membership members{std::string(kInit)};
  EXPECT_TRUE(members.contains("0::/default/c1\n"));
  EXPECT_TRUE(members.contains("12:pids:/default/c1/sub\n0::/\n"));
  EXPECT_FALSE(members.contains("0::/default/c10\n"));
  EXPECT_FALSE(members.contains("0::/\n"));
  EXPECT_FALSE(members.contains(""));
}

TEST(Membership, IsNotEverybodyWhenTheContainerSitsInTheRoot) {
  const Membership members{std::string("0::/\n3:cpu:/default/c1\n")};
  EXPECT_FALSE(members.contains("0::/\n3:cpu:/\n"));
  EXPECT_TRUE(members.contains("0::/\n3:cpu:/default/c1\n"));
}

TEST(Membership, LooksAwayFromWhatTheContainerSharesWithTheShim) {
  const Membership members(std::string("4:misc:/system\n0::/default/c1\n"),
                           "4:misc:/system\n0::/\n");
  EXPECT_FALSE(members.contains("4:misc:/system\n0::/\n"));
  EXPECT_TRUE(members.contains("4:misc:/system\n0::/default/c1\n"));
}

TEST(Membership, IsEverybodyWhenNothingTellsTheContainerApart) {
  EXPECT_TRUE(Membership(std::string("0::/\n")).contains("0::/user\n"));
  EXPECT_TRUE(Membership().contains(""));
}

TEST(Process, PathsAreToldFromTheContainersRoot) {
  EXPECT_EQ(below_root("/models/m", ""), "/models/m");
  EXPECT_EQ(below_root("/tmp/chroot/models/m", "/tmp/chroot"), "/models/m");
  EXPECT_EQ(below_root("/tmp/chroot", "/tmp/chroot"), "/");
  EXPECT_EQ(below_root("/tmp/chroot2/m", "/tmp/chroot"), "/tmp/chroot2/m");
  EXPECT_EQ(below_root("pipe:[7]", "/tmp/chroot"), "pipe:[7]");
}

TEST(Process, DescribesThisOne) {
  const auto info = describe(::getpid());
  EXPECT_EQ(info.host_pid, ::getpid());
  EXPECT_EQ(info.parent_host_pid, ::getppid());
  EXPECT_EQ(info.uid, ::getuid());
  EXPECT_FALSE(info.exe.empty());
  EXPECT_FALSE(info.comm.empty());
}

TEST(Process, OfNobodyIsEmptyNotACrash) {
  EXPECT_EQ(thread_group_of(0x3ffffff), 0);
  EXPECT_EQ(describe(0x3ffffff).host_pid, 0);
}

}  // namespace
}  // namespace moat::shim
