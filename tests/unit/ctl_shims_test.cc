#include "shim/ctl/shims.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "oci/sys.h"

namespace moat::shim::ctl {
namespace {

TEST(Shims, ReadsWhatAShimWrites) {
  const auto shim =
      parse_shim(R"({"pid":7,"namespace":"k8s.io","id":"pod","socket":"unix:///run/s/abc"})");
  ASSERT_TRUE(shim) << shim.error().what;
  EXPECT_EQ(shim->pid, 7);
  EXPECT_EQ(shim->namespace_, "k8s.io");
  EXPECT_EQ(shim->id, "pod");
  EXPECT_EQ(shim->socket, "/run/s/abc");
}

TEST(Shims, RefusesWhatIsNoShim) {
  for (const char* bad : {"", "{", "[]", "null", R"({"pid":7})",
                          R"({"pid":0,"namespace":"n","id":"i","socket":"/s"})",
                          R"({"pid":-1,"namespace":"n","id":"i","socket":"/s"})",
                          R"({"pid":99999999999,"namespace":"n","id":"i","socket":"/s"})",
                          R"({"pid":"7","namespace":"n","id":"i","socket":"/s"})",
                          R"({"pid":7,"namespace":1,"id":"i","socket":"/s"})",
                          R"({"pid":7,"namespace":"n","id":"i","socket":"s"})"})
    EXPECT_FALSE(parse_shim(bad)) << bad;
}

class ListShims : public testing::Test {
 protected:
  ListShims() { folder_ = ::mkdtemp(name_); }
  ~ListShims() override { (void)oci::remove_tree(folder_); }
  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(oci::make_dirs(folder_ + "/shims", 0700));
    ASSERT_TRUE(oci::write_file_atomic(folder_ + "/shims/" + name, text, 0600));
  }
  std::string shim(pid_t pid) {
    return R"({"pid":)" + std::to_string(pid) + R"(,"namespace":"n","id":"i","socket":"/s"})";
  }
  char name_[32] = "/tmp/moat-shims-XXXXXX";
  std::string folder_;
};

TEST_F(ListShims, AMissingFolderHoldsNone) {
  const auto shims = list_shims(folder_);
  ASSERT_TRUE(shims) << shims.error().what;
  EXPECT_TRUE(shims->running.empty());
  EXPECT_TRUE(shims->problems.empty());
}

TEST_F(ListShims, ThoseThatAreGoneAreLeftOutSilently) {
  put("1.json", shim(::getpid()));
  put("2.json", shim(4194303));  // the largest number there can be: taken last
  put("3.json", "{half");
  put("4.json.tmp", "{half");
  const auto shims = list_shims(folder_);
  ASSERT_TRUE(shims) << shims.error().what;
  ASSERT_EQ(shims->running.size(), 1U);
  EXPECT_EQ(shims->running[0].pid, ::getpid());
  ASSERT_EQ(shims->problems.size(), 1U);
  EXPECT_NE(shims->problems[0].find("3.json"), std::string::npos);
}

}  // namespace
}  // namespace moat::shim::ctl
