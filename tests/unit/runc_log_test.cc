#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "oci/runc.h"
#include "oci/sys.h"

namespace moat::oci {
namespace {

using std::chrono::milliseconds;

struct Case {
  const char* what;
  const char* log;
  const char* reason;
};

TEST(RuncLog, TheLastErrorIsTheReason) {
  const Case cases[] = {
      {"empty", "", ""},
      {"one error", R"({"level":"error","msg":"boom","time":"t"})", "boom"},
      {"the last of two",
       "{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"error\",\"msg\":\"b\"}\n", "b"},
      {"a warning after it",
       "{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"warning\",\"msg\":\"w\"}\n", "a"},
      {"a panic between", "{\"level\":\"error\",\"msg\":\"a\"}\npanic: at the disco\n{", "a"},
      {"only warnings", "{\"level\":\"warning\",\"msg\":\"w\"}\n", ""},
      {"a message that is no text", R"({"level":"error","msg":7})", ""},
      {"no object", "[1,2]\n\"error\"\nnull\n", ""},
  };
  for (const Case& c : cases) EXPECT_EQ(last_log_error(c.log), c.reason) << c.what;
}

// A runtime of our own making, run for real.
class RuncRun : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/moat-runc.XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    loop_ = std::move(*Loop::create());
  }
  void TearDown() override {
    ::unsetenv("MOAT_RUNC_TIMEOUT_MS");
    (void)remove_tree(folder_);
  }
  std::string log() const { return folder_ + "/log.json"; }

  Status run_script(const std::string& script) {
    Status result;
    run_runc(*loop_, {{"/bin/sh", "-c", script}, log(), {}, ""}, [&](Status status) {
      result = std::move(status);
      loop_->stop();
    });
    loop_->run();
    return result;
  }

  std::string folder_;
  std::unique_ptr<Loop> loop_;
};

TEST_F(RuncRun, TellsTheErrorOfThisCallNotOfAnEarlierOne) {
  std::ofstream(log()) << "{\"level\":\"error\",\"msg\":\"of yesterday\"}\n";
  const auto failed =
      run_script("echo '{\"level\":\"error\",\"msg\":\"of today\"}' >>" + log() + "; exit 1");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().what, "of today");
  EXPECT_EQ(failed.error().code, Code::Unknown);
}

TEST_F(RuncRun, WithoutAnErrorInTheLogTellsTheStatusAndTheOutput) {
  std::ofstream(log()) << "{\"level\":\"error\",\"msg\":\"of yesterday\"}\n";
  const auto failed = run_script("echo words; exit 4");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().what, "runc did not terminate successfully: exit status 4: words\n");
}

TEST_F(RuncRun, SaysThatTheLogCannotBeRead) {
  const auto failed = run_script("exit 1");
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().what.starts_with("unable to retrieve OCI runtime error (" + log()))
      << failed.error().what;
}

TEST_F(RuncRun, AMegabyteOfErrorsBlocksNothing) {
  const auto failed = run_script("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
  ASSERT_FALSE(failed);
  EXPECT_LT(failed.error().what.size(), 70000U);
}

TEST_F(RuncRun, AMissingRuntimeIsNamedWithAWayOut) {
  Status result;
  run_runc(*loop_, {{"no-runc", "create"}, log(), {}, ""}, [&](Status status) {
    result = std::move(status);
    loop_->stop();
  });
  loop_->run();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what.find("cannot start \"no-runc\": executable file not found"),
            std::string::npos);
  EXPECT_NE(result.error().what.find("BinaryName"), std::string::npos);
}

TEST_F(RuncRun, ARuntimeThatHangsIsKilledAtItsDeadline) {
  ::setenv("MOAT_RUNC_TIMEOUT_MS", "200", 1);
  const auto failed = run_script("sleep 100");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::DeadlineExceeded);
}

}  // namespace
}  // namespace moat::oci
