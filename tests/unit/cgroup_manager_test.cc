// Freezing and limits in files of our own; what the kernel would write is written by the test.
#include "shim/cgroups/manager.h"

#include <gtest/gtest.h>

#include "oci/sys.h"
#include "shim/cgroups/controllers.h"
#include "shim/cgroups/stat_text.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

using std::chrono::milliseconds;

constexpr const char* kFirst = "5:freezer:/c\n4:memory:/c\n3:pids:/c\n2:cpu:/c\n0::/c\n";

class CgroupManagerTest : public testing::Test {
 protected:
  Cgroup cgroup(bool unified) const {
    const auto exists = [](const std::string& path) { return std::filesystem::exists(path); };
    return std::move(*Cgroup::in(unified ? "0::/c\n" : kFirst, {dir_.path(), unified, "", exists}));
  }
  void first(const std::string& state) const { dir_.file("freezer/c/freezer.state", state + "\n"); }
  void second(const std::string& freeze, int frozen) const {
    dir_.file("c/cgroup.freeze", freeze + "\n");
    dir_.file("c/cgroup.events", "populated 1\nfrozen " + std::to_string(frozen) + "\n");
  }
  std::string said(const std::string& file) const {
    return oci::read_file(dir_.at(file)).value_or("");
  }
  CgroupManager::Done done() {
    return [this](const Status& status) { answer_ = status ? "done" : status.error().what; };
  }
  void turn(int milli = 30) {
    loop_->after(milliseconds(milli), [this] { loop_->stop(); });
    loop_->run();
  }

  test::TempDir dir_;
  std::unique_ptr<oci::Loop> loop_ = std::move(*oci::Loop::create());
  std::string answer_ = "none";
};

TEST_F(CgroupManagerTest, FreezingIsDoneWhenTheKernelSaysSo) {
  first("THAWED");
  const auto manager = manage_files(*loop_, cgroup(false));
  ASSERT_TRUE(manager);
  manager->freeze(done());
  EXPECT_TRUE(said("freezer/c/freezer.state").starts_with("FROZEN"));
  first("FREEZING");
  turn();
  EXPECT_EQ(answer_, "none");
  first("FROZEN");
  turn();
  EXPECT_EQ(answer_, "done");
  answer_ = "none";
  manager->thaw(done());
  turn();
  EXPECT_EQ(answer_, "done");
  EXPECT_TRUE(said("freezer/c/freezer.state").starts_with("THAWED"));
}

TEST_F(CgroupManagerTest, WhatAKillThawedIsNotFrozenAgain) {
  first("THAWED");
  const auto manager = manage_files(*loop_, cgroup(false));
  manager->freeze(done());
  first("FREEZING");
  turn();
  cgroup(false).thaw();
  turn();
  EXPECT_EQ(answer_, "thawed meanwhile");
  EXPECT_TRUE(said("freezer/c/freezer.state").starts_with("THAWED"));
}

TEST_F(CgroupManagerTest, AFreezerThatIsStuckIsBegunAnew) {
  first("THAWED");
  const auto manager = manage_files(*loop_, cgroup(false));
  manager->freeze(done());
  first("FREEZING");
  turn(300);
  EXPECT_EQ(answer_, "none");
  turn(300);
  EXPECT_EQ(answer_, "done") << "here the file says what was last written into it";
}

TEST_F(CgroupManagerTest, WhatDoesNotStopInSecondsIsLetGoAgain) {
  second("0", 0);
  const auto manager = manage_files(*loop_, cgroup(true));
  manager->freeze(done());
  turn(4800);
  EXPECT_EQ(answer_, "none");
  turn(400);
  EXPECT_EQ(answer_, "unable to freeze");
  EXPECT_EQ(said("c/cgroup.freeze"), "0\n");
}

TEST_F(CgroupManagerTest, Version2IsAskedByItsFileAndToldByItsEvents) {
  second("0", 0);
  const auto manager = manage_files(*loop_, cgroup(true));
  ASSERT_TRUE(manager);
  manager->freeze(done());
  EXPECT_EQ(said("c/cgroup.freeze"), "1\n");
  turn();
  EXPECT_EQ(answer_, "none");
  second("1", 1);
  turn();
  EXPECT_EQ(answer_, "done");
  answer_ = "none";
  manager->thaw(done());
  turn();
  EXPECT_EQ(said("c/cgroup.freeze"), "0\n");
  EXPECT_EQ(answer_, "none");
  second("0", 0);
  turn();
  EXPECT_EQ(answer_, "done");
}

TEST_F(CgroupManagerTest, AHybridWithoutTheFirstFreezerUsesTheUnifiedOne) {
  dir_.folder("pids/c");
  dir_.file("unified/c/cgroup.freeze", "0\n");
  dir_.file("unified/c/cgroup.events", "populated 1\nfrozen 0\n");
  const auto manager = manage_files(*loop_, cgroup(false));
  ASSERT_TRUE(manager);
  manager->freeze(done());
  EXPECT_EQ(said("unified/c/cgroup.freeze"), "1\n");
}

TEST_F(CgroupManagerTest, WithoutAFreezerThereIsNoManager) {
  dir_.folder("pids/c");
  EXPECT_FALSE(manage_files(*loop_, cgroup(false)));
}

TEST_F(CgroupManagerTest, AGroupThatGoesEndsTheWait) {
  second("0", 0);
  const auto manager = manage_files(*loop_, cgroup(true));
  int removed = 0;
  manager->on_removed([&] { ++removed; });
  manager->freeze(done());
  std::filesystem::remove_all(dir_.at("c"));
  turn();
  EXPECT_EQ(answer_, "the cgroup is gone");
  EXPECT_EQ(removed, 1);
}

TEST_F(CgroupManagerTest, LimitsAreWrittenAsEachVersionHasThem) {
  second("0", 0);
  for (const char* file : {"c/memory.max", "c/pids.max", "c/cpu.weight"}) dir_.file(file, "");
  manage_files(*loop_, cgroup(true))->set({1048576, kNoLimit, 200}, done());
  turn();
  EXPECT_EQ(answer_, "done");
  EXPECT_EQ(said("c/memory.max") + " " + said("c/pids.max") + " " + said("c/cpu.weight"),
            "1048576 max 200");
  first("THAWED");
  for (const char* file : {"memory/c/memory.limit_in_bytes", "pids/c/pids.max", "cpu/c/cpu.shares"})
    dir_.file(file, "");
  manage_files(*loop_, cgroup(false))->set({kNoLimit, 9, 200}, done());
  turn();
  EXPECT_EQ(said("memory/c/memory.limit_in_bytes") + " " + said("pids/c/pids.max") + " " +
                said("cpu/c/cpu.shares"),
            "-1 9 2048");
  std::filesystem::remove_all(dir_.at("pids"));
  manage_files(*loop_, cgroup(false))->set({{}, 9, {}}, done());
  turn();
  EXPECT_NE(answer_, "done");
}

TEST_F(CgroupManagerTest, ControllersAreEnabledDownToTheGroupsParentAndOnlyWhereTheyAreNot) {
  dir_.file("cgroup.controllers", "cpu memory\n");
  dir_.file("cgroup.subtree_control", "cpu memory\n");
  dir_.file("a/cgroup.subtree_control", "");
  dir_.file("a/c/cgroup.subtree_control", "");
  const auto group =
      Cgroup::in("0::/a/c\n", {dir_.path(), true, "", [](const std::string&) { return true; }});
  ASSERT_TRUE(enable_controllers(*group));
  EXPECT_EQ(said("cgroup.subtree_control"), "cpu memory\n") << "there already";
  EXPECT_EQ(said("a/cgroup.subtree_control"), "+memory") << "one write each";
  EXPECT_EQ(said("a/c/cgroup.subtree_control"), "") << "its own business";
}

}  // namespace
}  // namespace moat::shim
