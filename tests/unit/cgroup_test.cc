#include "shim/cgroups/cgroup.h"

#include <gtest/gtest.h>

#include <set>

namespace moat::shim {
namespace {

constexpr const char* kHybrid =
    "11:pids:/k/c1\n10:cpu,cpuacct:/k/c1\n5:freezer:/k/c1\n1:name=systemd:/\n0::/k/c1\n";

std::string find(const std::string& text, bool unified, const std::set<std::string>& folders,
                 const std::string& own = "") {
  return Cgroup::folder_in(
      text, {"/cg", unified, own, [&](const std::string& path) { return folders.contains(path); }});
}

TEST(Cgroup, TheFolderIsTheFirstHierarchyThatHasIt) {
  EXPECT_EQ(find("0::/k/c1\n", true, {"/cg/k/c1"}), "/cg/k/c1");
  EXPECT_EQ(find(kHybrid, false, {"/cg/pids/k/c1", "/cg/freezer/k/c1"}), "/cg/pids/k/c1");
  EXPECT_EQ(find(kHybrid, false, {"/cg/freezer/k/c1"}), "/cg/freezer/k/c1");
  EXPECT_EQ(find(kHybrid, false, {"/cg/unified/k/c1"}), "/cg/unified/k/c1");
}

TEST(Cgroup, ARootGroupIsNobodysOwn) {
  EXPECT_EQ(find("0::/\n", true, {"/cg/"}), "");
  EXPECT_EQ(find("4:pids:/\n0::/\n", false, {"/cg/pids/", "/cg/unified/"}), "");
  EXPECT_EQ(find("", true, {"/cg/"}), "");
  EXPECT_EQ(find("garbage\n::\n", false, {"/cg/"}), "");
}

TEST(Cgroup, TheGroupWeAreInOurselvesIsNotTheContainers) {
  EXPECT_EQ(find("4:memory:/a/b\n", false, {"/cg/memory/a/b"}, "4:memory:/a/b\n"), "");
  EXPECT_EQ(find("4:memory:/a\n", false, {"/cg/memory/a"}, "4:memory:/a/b\n"), "");
  EXPECT_EQ(find("0::/a\n", true, {"/cg/a"}, "0::/a\n"), "");
  EXPECT_EQ(find("0::/a/b\n", true, {"/cg/a/b"}, "0::/a\n"), "/cg/a/b");
  EXPECT_EQ(find("0::/ab\n", true, {"/cg/ab"}, "0::/a\n"), "/cg/ab");
  EXPECT_EQ(find("4:memory:/a\n3:pids:/c\n", false, {"/cg/memory/a", "/cg/pids/c"},
                 "4:memory:/a\n3:pids:/\n"),
            "/cg/pids/c");
}

TEST(Cgroup, AControllerIsMatchedByItsWholeName) {
  EXPECT_EQ(find("3:rpids,spidsx:/a\n", false, {"/cg/pids/a"}), "");
  EXPECT_EQ(find("3:cpu,pids:/a\n", false, {"/cg/pids/a"}), "/cg/pids/a");
}

}  // namespace
}  // namespace moat::shim
