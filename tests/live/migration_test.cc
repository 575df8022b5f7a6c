#include "shim/cgroups/migration.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "oci/sys.h"

namespace moat::shim {

namespace {

long threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

bool alone_within(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (threads() > 1 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return threads() == 1;
}

}  // namespace

TEST(Migration, ExpectingOneMovesNobodyAndEnds) {
  const auto before = oci::read_file("/proc/self/cgroup");
  ASSERT_TRUE(before);
  Migration migration;
  migration.expect();
  EXPECT_TRUE(alone_within(std::chrono::seconds(5)));
  const auto after = oci::read_file("/proc/self/cgroup");
  ASSERT_TRUE(after);
  EXPECT_EQ(*after, *before);
}

TEST(Migration, OneThreadWaitsForAllThatStart) {
  Migration migration;
  for (int i = 0; i < 100; ++i) migration.expect();
  EXPECT_LE(threads(), 5);  // a few may have ended meanwhile, each after its grace period
  EXPECT_TRUE(alone_within(std::chrono::seconds(5)));
}

TEST(Migration, TheThreadMayOutliveItsOwner) {
  { Migration().expect(); }
  EXPECT_TRUE(alone_within(std::chrono::seconds(5)));
}

}  // namespace moat::shim
