#include "shim/cgroups/oom_watch.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

using std::chrono::milliseconds;

std::string events(int max, int begun, int kills) {
  return "low 0\nhigh 0\nmax " + std::to_string(max) + "\noom " + std::to_string(begun) +
         "\noom_kill " + std::to_string(kills) + "\n";
}

// Version 2 in files of our own; the kernel's changes are ours.
class OomWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    write(events(0, 0, 0));
    dir_.file("c/cgroup.events", "populated 1\nfrozen 0\n");
    ASSERT_NO_FATAL_FAILURE(place());
  }
  void place() {
    auto watch = watch_oom(*loop_, cgroup(), [this] { ++told_; });
    ASSERT_TRUE(watch) << watch.error().what;
    watch_ = std::move(*watch);
  }
  Cgroup cgroup() const {
    return std::move(*Cgroup::in(
        "0::/c\n", {dir_.path(), true, "0::/\n", [](const std::string&) { return true; }}));
  }
  void write(const std::string& text) const { dir_.file("c/memory.events", text); }
  void turn() {
    loop_->after(milliseconds(5), [this] { loop_->stop(); });
    loop_->run();
  }

  test::TempDir dir_;
  std::unique_ptr<oci::Loop> loop_ = std::move(*oci::Loop::create());
  int told_ = 0;
  std::unique_ptr<OomWatch> watch_;
};

TEST_F(OomWatchTest, EachGrowthOfTheCountIsToldOnceByTheLoopAlone) {
  write(events(9, 1, 1));
  turn();
  EXPECT_EQ(told_, 1);
  write(events(12, 1, 1));
  turn();
  EXPECT_EQ(told_, 1) << "no kill";
  write(events(12, 2, 3));
  turn();
  EXPECT_EQ(told_, 2);
  EXPECT_EQ(watch_->kills(), 3U);
}

TEST_F(OomWatchTest, WhatIsNotNotifiedYetIsFoundByLooking) {
  write(events(1, 1, 1));
  watch_->check(true);
  EXPECT_EQ(told_, 1);
  turn();
  EXPECT_EQ(told_, 1) << "the notification comes after";
}

TEST_F(OomWatchTest, TheEndOfTheGroupsLastProcessIsAReasonToLook) {
  const auto memory = dir_.at("c/memory.events");
  std::filesystem::copy_file(memory, dir_.at("other"));
  std::filesystem::remove(memory);  // its own changes are not told any more
  turn();
  dir_.file("c/memory.events", events(1, 1, 1));
  dir_.file("c/cgroup.events", "populated 0\nfrozen 0\n");
  turn();
  EXPECT_EQ(told_, 1);
}

TEST_F(OomWatchTest, KillsBeforeTheWatchAreNotItsOwn) {
  write(events(1, 1, 1));
  ASSERT_NO_FATAL_FAILURE(place());
  watch_->check(true);
  EXPECT_EQ(told_, 0);
}

TEST_F(OomWatchTest, AGroupThatWentWithItsLastProcessTakesNoKillAlong) {
  write(events(5, 1, 0));  // a kill has begun, and that was read
  turn();
  EXPECT_EQ(told_, 0);
  std::filesystem::remove_all(dir_.at("c"));
  watch_->check(false);
  EXPECT_EQ(told_, 0) << "it ended by itself";
  watch_->check(true);
  EXPECT_EQ(told_, 1);
  watch_->check(true);
  EXPECT_EQ(told_, 1);
}

TEST_F(OomWatchTest, AGroupThatIsGoneCostsNothing) {
  std::filesystem::remove_all(dir_.at("c"));
  turn();
  watch_->check(true);
  EXPECT_EQ(told_, 0);
}

TEST_F(OomWatchTest, WithoutTheControllerThereIsNothingToWatch) {
  std::filesystem::remove(dir_.at("c/memory.events"));
  const auto watch = watch_oom(*loop_, cgroup(), [] {});
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error().err, ENOENT);
}

}  // namespace
}  // namespace moat::shim
