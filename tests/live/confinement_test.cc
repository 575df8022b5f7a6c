// What a supervisor could still do after it was taken over: each line is tried by a process that is
// confined as one.
#include "shim/supervise/confinement.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <thread>

#include "oci/sys.h"
#include "shim/supervise/own_calls.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

constexpr std::uint64_t kCapabilities =
    (1U << CAP_SYS_PTRACE) | (1U << CAP_DAC_READ_SEARCH) | (1U << CAP_KILL);

enum class As { Supervisor, Keeper };

// The errno of what `attempt` did, 0 for a success, in a process of that role.
std::uint64_t tried(As role, const std::function<bool()>& attempt) {
  const test::Victim victim([&]() -> std::uint64_t {
    const bool supervisor = role == As::Supervisor;
    if (!confine({"test", supervisor ? kCapabilities : 1U << CAP_KILL,
                  supervisor ? supervisor_calls(3) : keeper_calls(3)}))
      return 1000;
    errno = 0;
    return attempt() ? 0 : static_cast<std::uint64_t>(errno);
  });
  return victim.ok() ? victim.result() : 2000;
}

void* map(int protection) {
  return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

bool starts_a_program() {
  char* const none[] = {nullptr};
  return ::execve("/bin/true", none, none) == 0;
}

bool sends(int socket) {
  msghdr message{};
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

TEST(Confinement, LeavesAnIntruderNothingButToLookAndToKill) {
  struct Row {
    const char* what;
    bool (*attempt)();
  };
  static const Row rows[] = {
      {"starts a program", starts_a_program},
      {"makes a process", [] { return ::fork() >= 0; }},
      {"makes a socket", [] { return ::socket(AF_INET, SOCK_STREAM, 0) >= 0; }},
      {"makes a local socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }},
      {"sends elsewhere", [] { return sends(4); }},
      {"connects", [] { return ::connect(3, nullptr, 0) == 0; }},
      {"writes a file", [] { return ::open("/dev/null", O_WRONLY) >= 0; }},
      {"makes a file", [] { return ::open("/tmp/moat-test", O_RDONLY | O_CREAT, 0600) >= 0; }},
      {"empties a file", [] { return ::open("/dev/null", O_RDONLY | O_TRUNC) >= 0; }},
      {"makes memory a program", [] { return map(PROT_READ | PROT_EXEC) != MAP_FAILED; }},
      {"makes its memory a program",
       [] { return ::mprotect(map(PROT_READ), 4096, PROT_READ | PROT_EXEC) == 0; }},
      {"traces", [] { return ::ptrace(PTRACE_SEIZE, ::getppid(), 0, 0) == 0; }},
      {"writes into another",
       [] { return ::process_vm_writev(1, nullptr, 0, nullptr, 0, 0) == 0; }},
      {"signals a number", [] { return ::kill(::getppid(), 0) == 0; }},
      {"changes its user", [] { return ::setuid(0) == 0; }},
      {"unshares", [] { return ::unshare(CLONE_NEWUSER) == 0; }},
      {"mounts", [] { return ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0; }},
      {"asks a terminal", [] { return ::ioctl(0, TIOCSTI, "x") == 0; }},
      {"becomes dumpable", [] { return ::prctl(PR_SET_DUMPABLE, 1) == 0; }},
  };
  for (const As role : {As::Supervisor, As::Keeper})
    for (const Row& row : rows)
      EXPECT_EQ(tried(role, row.attempt), static_cast<std::uint64_t>(ENOSYS)) << row.what;
}

TEST(Confinement, LeavesASupervisorWhatItIsThereFor) {
  const test::Victim other([] { return std::uint64_t{0}; });
  const std::string proc = "/proc/" + std::to_string(other.pid());
  const auto opens = [&](const char* name, int flags) {
    return tried(As::Supervisor, [&] { return ::open((proc + name).c_str(), flags) >= 0; });
  };
  EXPECT_EQ(opens("/status", O_RDONLY), 0U);
  EXPECT_EQ(opens("/root", O_PATH | O_DIRECTORY), 0U);
  EXPECT_EQ(tried(As::Supervisor, [] { return map(PROT_READ | PROT_WRITE) != MAP_FAILED; }), 0U);
  EXPECT_EQ(tried(As::Supervisor,
                  [] {
                    bool ran = false;
                    std::thread([&] { ran = true; }).join();
                    return ran;
                  }),
            0U);
  EXPECT_EQ(tried(As::Supervisor,
                  [&] {
                    const auto pidfd = oci::pidfd_open(other.pid());
                    return pidfd && oci::pidfd_signal(pidfd->raw(), SIGKILL);
                  }),
            0U);
}

TEST(Confinement, LeavesAKeeperNoFilesAndNoThreads) {
  const auto opens = [](const char* path) {
    return tried(As::Keeper, [&] { return ::open(path, O_RDONLY) >= 0; });
  };
  EXPECT_EQ(opens("/dev/null"), static_cast<std::uint64_t>(ENOSYS));
  EXPECT_EQ(tried(As::Keeper,
                  [] {
                    return ::syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0,
                                     0) >= 0;
                  }),
            static_cast<std::uint64_t>(ENOSYS));
}

}  // namespace
}  // namespace moat::shim
