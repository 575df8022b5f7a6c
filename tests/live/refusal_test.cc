// A supervisor that dies between a question and its answer: who else holds the listener answers it.
#include "shim/supervise/refusal.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/syscall.h>

#include "oci/sys.h"
#include "shim/supervise/listener.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

// A filter that asks about getppid; returns its listener.
int install_filter() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

// Calls getppid once and says what came of it: 0, or the errno.
struct Asker {
  int answers[2];
  std::unique_ptr<test::Victim> victim;
  UniqueFd listener;

  Asker() {
    if (::pipe(answers) != 0) return;
    victim = std::make_unique<test::Victim>([this] {
      const int fd = install_filter();
      if (::fork() != 0) return static_cast<std::uint64_t>(fd);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int err = ::syscall(SYS_getppid) < 0 ? errno : 0;
      if (::write(answers[1], &err, sizeof err) != sizeof err) ::_exit(1);
      ::_exit(0);
    });
    const auto pidfd = oci::pidfd_open(victim->pid());
    if (pidfd)
      listener = UniqueFd(static_cast<int>(
          ::syscall(SYS_pidfd_getfd, pidfd->raw(), static_cast<int>(victim->result()), 0)));
  }
  ~Asker() {
    ::close(answers[0]);
    ::close(answers[1]);
  }
  [[nodiscard]] int answer() const {
    pollfd wait{answers[0], POLLIN, 0};
    int err = -1;
    if (::poll(&wait, 1, 5000) != 1) return -2;  // nobody answered
    return ::read(answers[0], &err, sizeof err) == sizeof err ? err : -3;
  }
};

// Receives the question and is gone before it could do anything about it.
void receive_and_die(Journal& journal, int listener) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    pollfd wait{listener, POLLIN, 0};
    ::poll(&wait, 1, 5000);
    Listener own(UniqueFd(::dup(listener)), 7);
    (void)own.receive(journal);
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(pid, nullptr, 0);
}

TEST(Refusal, WhatADeadReceiverHadReceivedIsRefusedByAnotherHolder) {
  Journal journal = std::move(*Journal::create());
  const Asker asker;
  ASSERT_TRUE(asker.listener.valid());
  receive_and_die(journal, asker.listener.raw());
  EXPECT_EQ(settle_calls(journal.page(), 8, asker.listener.raw(), EACCES), 0U) << "another's";
  EXPECT_EQ(settle_calls(journal.page(), 7, asker.listener.raw(), EACCES), 1U);
  EXPECT_EQ(asker.answer(), EACCES);
  EXPECT_EQ(settle_calls(journal.page(), 7, asker.listener.raw(), EACCES), 0U) << "once";
}

TEST(Refusal, UnderAuditItGoesOn) {
  Journal journal = std::move(*Journal::create());
  const Asker asker;
  ASSERT_TRUE(asker.listener.valid());
  receive_and_die(journal, asker.listener.raw());
  EXPECT_EQ(settle_calls(journal.page(), 7, asker.listener.raw(), 0), 1U);
  EXPECT_EQ(asker.answer(), 0);
}

TEST(Refusal, WhatNobodyHadReceivedWaitsForTheNextReceiver) {
  Journal journal = std::move(*Journal::create());
  const Asker asker;
  ASSERT_TRUE(asker.listener.valid());
  pollfd wait{asker.listener.raw(), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, 5000), 1);
  EXPECT_EQ(settle_calls(journal.page(), 7, asker.listener.raw(), EACCES), 0U);
  auto next = std::make_shared<Listener>(UniqueFd(::dup(asker.listener.raw())), 7);
  const auto slot = next->receive(journal);
  ASSERT_TRUE(slot);
  Pending(next, *slot).go_on();
  EXPECT_EQ(asker.answer(), 0);
}

}  // namespace
}  // namespace moat::shim
