// The kernel's own kills for want of memory, version 1: told to whoever looks at the process's end,
// before the loop has had a turn.
#include "shim/cgroups/oom_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "oci/sys.h"

namespace moat::shim {
namespace {

constexpr std::size_t kLimit = 8 << 20;

class OomWatchLive : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = "/sys/fs/cgroup/memory/moat-oom-" + std::to_string(::getpid());
    if (::access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) != 0)
      GTEST_SKIP() << "this machine has no version 1 memory controller";
    ASSERT_EQ(::mkdir(folder_.c_str(), 0755), 0);
    write("memory.limit_in_bytes", std::to_string(kLimit));
    const std::string text = "4:memory:/moat-oom-" + std::to_string(::getpid()) + "\n";
    const auto exists = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; };
    auto watch =
        watch_oom(*loop_, *Cgroup::in(text, {kCgroupRoot, false, "", exists}), [this] { ++told_; });
    ASSERT_TRUE(watch) << watch.error().what;
    watch_ = std::move(*watch);
  }
  void TearDown() override {
    watch_.reset();
    ::rmdir(folder_.c_str());
  }
  void write(const std::string& file, const std::string& text) const {
    const auto opened = oci::open_file(folder_ + "/" + file, O_WRONLY);
    ASSERT_TRUE(opened && oci::write_all(opened->raw(), text)) << file;
  }

  // The signal that ended a process that touches `bytes` in the group.
  int eat(std::size_t bytes) const {
    const pid_t child = ::fork();
    if (child == 0) {
      if (auto procs = oci::open_file(folder_ + "/cgroup.procs", O_WRONLY))
        (void)oci::write_all(procs->raw(), "0");
      void* const memory =
          ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      std::memset(memory, 1, bytes);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

  std::string folder_;
  std::unique_ptr<oci::Loop> loop_ = std::move(*oci::Loop::create());
  int told_ = 0;
  std::unique_ptr<OomWatch> watch_;
};

TEST_F(OomWatchLive, AKillIsTheFirstThingToldAfterTheDeathAndToldOnce) {
  ASSERT_EQ(eat(4 * kLimit), SIGKILL);
  watch_->check(true);
  EXPECT_EQ(told_, 1);
  loop_->after(std::chrono::milliseconds(100), [this] { loop_->stop(); });
  loop_->run();
  watch_->check(true);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(watch_->kills(), 1U);
}

TEST_F(OomWatchLive, WhatFitsIsNotTold) {
  EXPECT_EQ(eat(kLimit / 4), 0);
  watch_->check(false);
  EXPECT_EQ(told_, 0);
}

TEST_F(OomWatchLive, TheLoopTellsByItself) {
  ASSERT_EQ(eat(4 * kLimit), SIGKILL);
  loop_->after(std::chrono::milliseconds(100), [this] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(told_, 1);
}

TEST_F(OomWatchLive, ARemovedGroupIsNoKill) {
  ASSERT_EQ(::rmdir(folder_.c_str()), 0);
  loop_->after(std::chrono::milliseconds(100), [this] { loop_->stop(); });
  loop_->run();
  watch_->check(true);
  EXPECT_EQ(told_, 0);
}

}  // namespace
}  // namespace moat::shim
