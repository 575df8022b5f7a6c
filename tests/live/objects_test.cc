// Permission events on a private mount: what is forgotten is refused, what is answered is answered.
#include "shim/supervise/objects.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "oci/sys.h"
#include "shim/supervise/marks.h"
#include "shim/supervise/refusal.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

// Opens /mnt/file whenever it is told to; answers with the errno it got, 0 for a success.
struct Opener {
  int to_child[2], from_child[2];
  std::unique_ptr<test::Victim> victim;

  Opener() {
    if (::pipe(to_child) != 0 || ::pipe(from_child) != 0) return;
    victim = std::make_unique<test::Victim>(
        [this] {
          if (::mount("none", "/mnt", "tmpfs", 0, "size=1m") != 0) return std::uint64_t{1};
          ::close(::open("/mnt/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
          if (::fork() != 0) return std::uint64_t{0};
          ::prctl(PR_SET_PDEATHSIG, SIGKILL);
          ::close(to_child[1]);
          char c = 0;
          while (::read(to_child[0], &c, 1) == 1) {
            const int fd = ::open("/mnt/file", O_RDONLY | O_CLOEXEC);
            const int err = fd < 0 ? errno : 0;
            if (fd >= 0) ::close(fd);
            if (::write(from_child[1], &err, sizeof err) != sizeof err) break;
          }
          ::_exit(0);
        },
        CLONE_NEWNS);
    ::close(to_child[0]);
    ::close(from_child[1]);
  }
  ~Opener() {
    ::close(to_child[1]);
    ::close(from_child[0]);
  }
  void ask() const { ASSERT_EQ(::write(to_child[1], "o", 1), 1); }
  [[nodiscard]] int answer() const {
    pollfd wait{from_child[0], POLLIN, 0};
    int err = -1;
    if (::poll(&wait, 1, 5000) != 1) return -2;  // nobody answered the event
    return ::read(from_child[0], &err, sizeof err) == sizeof err ? err : -3;
  }
};

struct ObjectsTest : ::testing::Test {
  Opener opener;
  Journal journal = std::move(*Journal::create());
  std::unique_ptr<ObjectGroup> group;

  void SetUp() override {
    ASSERT_EQ(opener.victim->result(), 0U);
    auto fd = make_group();
    ASSERT_TRUE(fd) << fd.error().what;
    const auto marked = mark_points(fd->raw(), opener.victim->pid(), {"/mnt"});
    ASSERT_TRUE(marked) << marked.error().what;
    group = std::make_unique<ObjectGroup>(std::move(*fd), 1);
  }
  void next(const ObjectGroup::Handler& handle) {
    pollfd wait{group->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 5000), 1);
    ASSERT_EQ(group->read(journal, handle), 1U);
  }
};

TEST_F(ObjectsTest, TheEventNamesTheFileAsTheContainerSeesIt) {
  opener.ask();
  next([](const OpenEvent& event, HeldEvent held) {
    EXPECT_EQ(event.path, "/mnt/file");
    EXPECT_FALSE(event.exec);
    EXPECT_GT(event.tid, 0);
    std::move(held).allow();
  });
  EXPECT_EQ(opener.answer(), 0);
}

TEST_F(ObjectsTest, AForgottenEventIsRefused) {
  opener.ask();
  next([](const OpenEvent&, HeldEvent) {});
  EXPECT_EQ(opener.answer(), EPERM);
}

TEST_F(ObjectsTest, AHeldEventWaitsAndIsInTheJournalMeanwhile) {
  std::vector<HeldEvent> waiting;
  opener.ask();
  next([&](const OpenEvent&, HeldEvent held) { waiting.push_back(std::move(held)); });
  EXPECT_EQ(std::ranges::count_if(journal.page().opens,
                                  [](const HeldOpen& open) { return open.group.load() == 1; }),
            1);
  std::move(waiting.front()).allow();
  EXPECT_EQ(opener.answer(), 0);
  EXPECT_EQ(std::ranges::count_if(journal.page().opens,
                                  [](const HeldOpen& open) { return open.group.load() != 0; }),
            0);
}

// Runs `body` in a process of its own that shares the journal, and is killed by its own hand.
void in_a_process_that_dies(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(pid, nullptr, 0);
}

TEST_F(ObjectsTest, WhatADeadReaderHadTakenIsRefusedByAnotherHolder) {
  opener.ask();
  in_a_process_that_dies(
      [&] { next([](const OpenEvent&, const HeldEvent&) { ::kill(::getpid(), SIGKILL); }); });
  EXPECT_EQ(settle_opens(journal.page(), 2, group->fd(), false), 0U) << "another's";
  EXPECT_GE(settle_opens(journal.page(), 1, group->fd(), false), 1U);
  EXPECT_EQ(opener.answer(), EPERM);
}

TEST_F(ObjectsTest, WhatAReaderThatDiesOnReturnFromTheKernelWasGivenIsRefusedAsWell) {
  opener.ask();
  in_a_process_that_dies([&] {
    pollfd wait{group->fd(), POLLIN, 0};
    ::poll(&wait, 1, 5000);
    journal.page().event_group = 1;
    (void)!::read(group->fd(), journal.page().events.data(), journal.page().events.size());
  });
  EXPECT_EQ(settle_opens(journal.page(), 1, group->fd(), false), 1U);
  EXPECT_EQ(opener.answer(), EPERM);
}

TEST_F(ObjectsTest, WhatWasAnsweredIsInTheJournalNoMore) {
  opener.ask();
  next([](const OpenEvent&, HeldEvent held) { std::move(held).allow(); });
  EXPECT_EQ(opener.answer(), 0);
  EXPECT_TRUE(std::ranges::all_of(journal.page().events,
                                  [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_EQ(settle_opens(journal.page(), 1, group->fd(), false), 0U);
}

TEST_F(ObjectsTest, AMarkOnAPointThatIsNoMountIsRefused) {
  auto fd = make_group();
  ASSERT_TRUE(fd);
  const auto marked = mark_points(fd->raw(), opener.victim->pid(), {"/mnt/nowhere"});
  ASSERT_FALSE(marked);
  EXPECT_EQ(marked.error().what, "no mount at /mnt/nowhere in the container");
}

}  // namespace
}  // namespace moat::shim
