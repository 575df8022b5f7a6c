#include "oci/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "oci/spawn.h"
#include "oci/sys.h"

namespace moat::oci {
namespace {

struct LoopTest : ::testing::Test {
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
};

TEST_F(LoopTest, RunsTimersInOrderAndForgetsCancelledOnes) {
  std::string order;
  loop->after(std::chrono::milliseconds(20), [&] {
    order += "b";
    loop->stop();
  });
  loop->after(std::chrono::milliseconds(1), [&] { order += "a"; });
  loop->cancel(loop->after(std::chrono::milliseconds(2), [&] { order += "x"; }));
  loop->run();
  EXPECT_EQ(order, "ab");
}

TEST_F(LoopTest, WhatACallbackOwnsMayUseTheLoopWhileItEnds) {
  struct Owned {
    Loop& loop;
    int other;
    Loop::TimerId timer;
    ~Owned() {
      loop.forget(other);
      loop.cancel(timer);
      loop.post([] {});
    }
  };
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  int gone = 0;
  for (int i = 0; i < 2; ++i) {
    const auto timer = loop->after(std::chrono::hours(1), [] {});
    const std::shared_ptr<Owned> owned(new Owned{*loop, ends[1 - i], timer}, [&](Owned* object) {
      delete object;
      ++gone;
    });
    ASSERT_TRUE(loop->watch(ends[i], EPOLLIN, [owned](std::uint32_t) {}));
    loop->after(std::chrono::hours(1), [owned] {});
  }
  loop.reset();
  EXPECT_EQ(gone, 2);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(LoopTest, DoesNotDeliverAnEventToANewOwnerOfTheNumber) {
  int first[2], second[2];
  ASSERT_EQ(::pipe(first), 0);
  ASSERT_EQ(::pipe(second), 0);
  ASSERT_EQ(::write(first[1], "x", 1), 1);
  ASSERT_EQ(::write(second[1], "x", 1), 1);
  int reused_calls = 0;
  const auto swap = [&](int other) {
    loop->forget(other);
    ::close(other);
    int fresh[2];
    ASSERT_EQ(::pipe(fresh), 0);  // takes the number that was just closed
    ASSERT_TRUE(loop->watch(fresh[0], EPOLLIN, [&](std::uint32_t) { ++reused_calls; }));
    loop->post([&] { loop->stop(); });
  };
  // Whichever is delivered first closes the other, whose event is in the same batch.
  bool swapped = false;
  ASSERT_TRUE(loop->watch(first[0], EPOLLIN, [&](std::uint32_t) {
    if (!std::exchange(swapped, true)) swap(second[0]);
  }));
  ASSERT_TRUE(loop->watch(second[0], EPOLLIN, [&](std::uint32_t) {
    if (!std::exchange(swapped, true)) swap(first[0]);
  }));
  loop->run();
  EXPECT_TRUE(swapped);
  EXPECT_EQ(reused_calls, 0);
}

RunResult run_to_end(Loop& loop, Command command, std::string input = "",
                     std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
  RunResult result;
  run(loop, std::move(command), std::move(input), deadline, [&](Result<RunResult> done) {
    EXPECT_TRUE(done) << done.error().what;
    if (done) result = *done;
    loop.stop();
  });
  loop.run();
  return result;
}

Command shell(std::string script) {
  Command command;
  command.argv = {"/bin/sh", "-c", std::move(script)};
  return command;
}

TEST_F(LoopTest, RunKeepsStatusAndOutput) {
  const RunResult result = run_to_end(*loop, shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(result.exit.status, 3);
  EXPECT_FALSE(result.exit.signalled);
  EXPECT_EQ(result.output, "out\nerr\n");
}

TEST_F(LoopTest, RunFeedsInput) {
  const std::string big(300000, 'x');  // more than a pipe holds
  EXPECT_EQ(run_to_end(*loop, shell("wc -c"), big).output, "300000\n");
}

TEST_F(LoopTest, RunSurvivesAFloodOfOutput) {
  const RunResult result = run_to_end(*loop, shell("head -c 1000000 /dev/zero; exit 5"));
  EXPECT_EQ(result.exit.status, 5);
  EXPECT_EQ(result.output.size(), 64U << 10);
}

TEST_F(LoopTest, RunKillsWhatDoesNotEnd) {
  const std::int64_t before = monotonic_ms();
  const RunResult result =
      run_to_end(*loop, shell("sleep 100 & sleep 100"), "", std::chrono::milliseconds(100));
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.exit.status, 128 + SIGKILL);
  EXPECT_LT(monotonic_ms() - before, 5000);
}

TEST_F(LoopTest, RunDoesNotWaitForAGrandchildThatKeepsThePipe) {
  const std::int64_t before = monotonic_ms();
  EXPECT_EQ(run_to_end(*loop, shell("sleep 20 & echo done")).output, "done\n");
  EXPECT_LT(monotonic_ms() - before, 5000);
}

TEST_F(LoopTest, RunTellsWhenTheProgramIsMissing) {
  std::string what;
  Command command;
  command.argv = {"/nonexistent/program"};
  run(*loop, command, "", std::chrono::seconds(1), [&](Result<RunResult> done) {
    ASSERT_FALSE(done);
    what = done.error().what;
    loop->stop();
  });
  loop->run();
  EXPECT_EQ(what, "cannot start /nonexistent/program: No such file or directory");
}

TEST_F(LoopTest, ChildrenInheritNothingButWhatIsGiven) {
  int leak[2];
  ASSERT_EQ(::pipe(leak), 0);  // on purpose without CLOEXEC
  const RunResult result = run_to_end(*loop, shell("ls /proc/self/fd | wc -l"));
  EXPECT_EQ(result.output, "4\n");  // 0, 1, 2 and ls's own
  ::close(leak[0]);
  ::close(leak[1]);
}

}  // namespace
}  // namespace moat::oci
