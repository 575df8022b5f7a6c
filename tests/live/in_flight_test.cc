// Which threads are inside a call, as the kernel tells.
#include "shim/supervise/in_flight.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "shim/supervise/carried.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

#if defined(__x86_64__)
constexpr auto kArch = policies::Arch::X86_64;
#else
constexpr auto kArch = policies::Arch::Arm64;
#endif

TEST(Doing, IsReadFromTheKernelsOwnWords) {
  EXPECT_TRUE(parse_doing("running\n")->running);
  EXPECT_EQ(parse_doing("-1 0x7ffe 0x7f00\n")->number, -1);
  const auto call = parse_doing("42 0x3 0x7ffe10 0x10 0x0 0x0 0x5 0x7ffe 0x7f00\n");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->number, 42);
  EXPECT_EQ(call->args[2], 0x10U);
  EXPECT_EQ(call->args[5], 5U);
  EXPECT_FALSE(parse_doing("nonsense"));
  EXPECT_FALSE(parse_doing("42 0x3"));
}

// Connects to a listener that takes nobody, in a thread; the rest of the process sleeps.
std::uint64_t stuck_in_connect() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  socklen_t length = sizeof address;
  if (::bind(listener, generic, length) != 0 || ::listen(listener, 0) != 0 ||
      ::getsockname(listener, generic, &length) != 0)
    return 1;
  std::thread([address] {
    for (int i = 0; i < 4; ++i)
      (void)::connect(::socket(AF_INET, SOCK_STREAM, 0),
                      reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }).detach();
  ::usleep(300'000);
  return 0;
}

InFlight watching(pid_t pid, const char* call) {
  InFlight threads(kArch, {policies::find_syscall(call)});
  threads.add({pid});
  return threads;
}

bool ends_within(InFlight& threads, int milliseconds) {
  for (int i = 0; i < milliseconds && !threads.look(); ++i) ::usleep(1000);
  return threads.look();
}

TEST(InFlight, AThreadThatWaitsInAConnectIsInsideAndIsNamed) {
  const test::Victim victim(stuck_in_connect);
  ASSERT_EQ(victim.result(), 0U);
  InFlight threads = watching(victim.pid(), "connect");
  EXPECT_FALSE(ends_within(threads, 50));
  const auto inside = threads.inside();
  ASSERT_EQ(inside.size(), 1U);
  EXPECT_NE(inside[0].find("connect in "), std::string::npos) << inside[0];
  EXPECT_NE(inside[0].find("pid " + std::to_string(victim.pid())), std::string::npos) << inside[0];
}

TEST(InFlight, TheSameThreadIsNobodysBusinessIfTheCallIsLetThrough) {
  const test::Victim victim(stuck_in_connect);
  InFlight threads = watching(victim.pid(), "execve");
  EXPECT_TRUE(ends_within(threads, 50));
}

TEST(InFlight, ThreadsThatComputeAreOutOfWhatTheyWereInSoon) {
  const test::Victim victim([] {
    std::thread([] {
      for (std::atomic<std::uint64_t> i = 0;;) ++i;
    }).detach();
    return std::uint64_t{0};
  });
  InFlight threads = watching(victim.pid(), "connect");
  EXPECT_TRUE(ends_within(threads, 2000));
  EXPECT_EQ(threads.starved(), 0U);
}

TEST(InFlight, AnOpenOfAFifoIsNobodysBusiness) {
  const std::string fifo = "/tmp/moat-fifo-" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const test::Victim victim([&] {
    std::thread([&] { (void)::open(fifo.c_str(), O_WRONLY); }).detach();
    ::usleep(100'000);
    return std::uint64_t{0};
  });
  InFlight threads = watching(victim.pid(), "connect");
  EXPECT_TRUE(ends_within(threads, 50));
  ::unlink(fifo.c_str());
}

bool has(const std::vector<Carried>& all, Carried::Kind kind, bool writable,
         const std::string& name) {
  for (const Carried& one : all)
    if (one.kind == kind && one.writable == writable && one.name.find(name) != std::string::npos)
      return true;
  return false;
}

TEST(Carried, IsFoundInARealProcess) {
  const test::Victim victim([] {
    (void)::open("/proc/self/mem", O_RDWR);
    (void)::memfd_create("tool", 0);
    const int shared = ::open("/dev/shm/moat-carried", O_RDWR | O_CREAT, 0600);
    if (::ftruncate(shared, 4096) != 0) return std::uint64_t{1};
    (void)::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    ::unlink("/dev/shm/moat-carried");
    return std::uint64_t{0};
  });
  ASSERT_EQ(victim.result(), 0U);
  const auto mounts = mounts_of(victim.pid());
  ASSERT_TRUE(mounts);
  const auto found = carried_by({victim.pid()}, *mounts);
  EXPECT_TRUE(has(found, Carried::Kind::Memory, true, "/mem"));
  EXPECT_TRUE(has(found, Carried::Kind::Program, true, "/memfd:tool"));
  EXPECT_TRUE(has(found, Carried::Kind::Map, true, "/dev/shm/moat-carried"));
}

}  // namespace
}  // namespace moat::shim
