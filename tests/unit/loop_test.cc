#include "oci/loop.h"

#include <fcntl.h>
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

struct FavouredTest : LoopTest {
  int asked[2], other[2];
  int answers = 0;

  void SetUp() override {
    ASSERT_EQ(::pipe2(asked, O_NONBLOCK), 0);
    ASSERT_EQ(::pipe2(other, O_NONBLOCK), 0);
    ASSERT_TRUE(loop->watch(asked[0], EPOLLIN, [this](std::uint32_t events) { on_asked(events); }));
    loop->after(std::chrono::seconds(5), [this] { loop->stop(); });
  }
  void on_asked(std::uint32_t events) {
    if ((events & EPOLLIN) == 0) return loop->stop();  // hung up
    char byte = 0;
    EXPECT_EQ(::read(asked[0], &byte, 1), 1);
    ++answers;
    loop->favour(asked[0]);
  }
  void TearDown() override {
    for (const int fd : {asked[0], other[0], other[1]}) ::close(fd);
  }
};

TEST_F(FavouredTest, WhoIsFavouredDoesNotStarveTheRest) {
  bool heard = false;
  ASSERT_TRUE(loop->watch(other[0], EPOLLIN, [&](std::uint32_t) {
    heard = true;
    loop->stop();
  }));
  loop->post([&] {
    loop->favour(asked[0]);
    (void)!::write(asked[1], std::string(1000, 'x').data(), 1000);
    (void)!::write(other[1], "y", 1);
  });
  loop->run();
  EXPECT_TRUE(heard);
  EXPECT_LT(answers, 1000);
  ::close(asked[1]);
}

TEST_F(FavouredTest, TimersAndTheEndOfTheDescriptorAreHeard) {
  loop->favour(asked[0]);
  loop->after(std::chrono::milliseconds(5), [&] { (void)!::write(asked[1], "x", 1); });
  loop->after(std::chrono::milliseconds(20), [&] { ::close(asked[1]); });
  const std::int64_t before = monotonic_ms();
  loop->run();
  EXPECT_EQ(answers, 1);
  EXPECT_LT(monotonic_ms() - before, 4000);
}

TEST_F(FavouredTest, IsQuietWhileItsEventsAreOffAndForgottenLikeAnyOther) {
  loop->favour(asked[0]);
  ASSERT_TRUE(loop->change(asked[0], 0));
  (void)!::write(asked[1], "xx", 2);
  loop->after(std::chrono::milliseconds(10), [&] {
    EXPECT_EQ(answers, 0);
    ASSERT_TRUE(loop->change(asked[0], EPOLLIN));
  });
  loop->after(std::chrono::milliseconds(30), [&] {
    EXPECT_EQ(answers, 2);
    loop->forget(asked[0]);
    (void)!::write(asked[1], "x", 1);
  });
  loop->after(std::chrono::milliseconds(40), [&] { loop->stop(); });
  loop->run();
  EXPECT_EQ(answers, 2);
  ::close(asked[1]);
}

TEST_F(FavouredTest, WhoIsFavouredNoMoreIsHeardAsBefore) {
  int more = 0;
  ASSERT_TRUE(loop->watch(other[0], EPOLLIN, [&](std::uint32_t) {
    char byte = 0;
    EXPECT_EQ(::read(other[0], &byte, 1), 1);
    ++more;
    loop->favour(other[0]);
  }));
  for (int i = 0; i < 10; ++i) {
    loop->after(std::chrono::milliseconds(2 * i), [&] { (void)!::write(asked[1], "x", 1); });
    loop->after(std::chrono::milliseconds(2 * i + 1), [&] { (void)!::write(other[1], "y", 1); });
  }
  loop->after(std::chrono::milliseconds(60), [&] { loop->stop(); });
  loop->run();
  EXPECT_EQ(answers, 10);
  EXPECT_EQ(more, 10);
  ::close(asked[1]);
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
