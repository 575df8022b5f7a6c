// Over folders that look like mounted hierarchies of version 1.
#include "shim/start_cgroup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "oci/sys.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

class StartCgroup : public testing::Test {
 protected:
  std::string procs(const std::string& controller, const std::string& group) const {
    return dir_.path() + "/" + controller + "/" + group + "/cgroup.procs";
  }
  void make(const std::string& controller, const std::string& group) const {
    std::filesystem::create_directories(dir_.path() + "/" + controller + "/" + group);
    std::ofstream(procs(controller, group)) << "";
  }
  test::TempDir dir_;
};

TEST_F(StartCgroup, EveryHierarchyThatHasTheGroupIsJoined) {
  make("memory", "shims");
  make("pids", "shims");
  make("devices", "others");
  std::filesystem::create_directory_symlink("memory", dir_.path() + "/mem");
  ASSERT_TRUE(join_cgroup("/shims", 77, dir_.path()));
  EXPECT_EQ(oci::read_file(procs("memory", "shims")).value_or(""), "77");
  EXPECT_EQ(oci::read_file(procs("pids", "shims")).value_or(""), "77");
}

TEST_F(StartCgroup, AGroupThatExistsNowhereIsNamed) {
  make("memory", "others");
  const auto joined = join_cgroup("/shims", 77, dir_.path());
  ASSERT_FALSE(joined);
  EXPECT_NE(joined.error().what.find("/shims"), std::string::npos);
}

}  // namespace
}  // namespace moat::shim
