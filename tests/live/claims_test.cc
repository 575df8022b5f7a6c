// What a hostile caller's pointers can do to the reader of its arguments.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <memory>

#include <cstring>

#include "oci/sys.h"
#include "shim/supervise/tracee.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

using policies::find_syscall;

constexpr std::size_t kPage = 4096;

char* two_pages_the_second_missing() {
  void* at = ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto* pages = static_cast<char*>(at);
  ::munmap(pages + kPage, kPage);
  return pages;
}

std::uint64_t number(const void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

// An address whose page is asked of a userfaultfd that nobody serves.
std::uint64_t page_that_never_comes() {
  const auto uffd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
  uffdio_api api{UFFD_API, 0, 0};
  if (uffd < 0 || ::ioctl(uffd, UFFDIO_API, &api) != 0) return std::uint64_t{0};
  void* page = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uffdio_register range{{number(page), kPage}, UFFDIO_REGISTER_MODE_MISSING, 0};
  if (::ioctl(uffd, UFFDIO_REGISTER, &range) != 0) return std::uint64_t{0};
  return number(page);
}

ReadRequest openat_of(const test::Victim& victim, std::uint64_t path) {
  return {victim.pid(), find_syscall("openat"), {static_cast<std::uint64_t>(AT_FDCWD), path}};
}

TEST(Claims, AStringThatEndsAtTheEdgeOfAHoleIsRead) {
  const test::Victim victim([] {
    char* pages = two_pages_the_second_missing();
    char* text = pages + kPage - 10;
    std::strcpy(text, "/etc/some");  // its NUL is the last byte that exists
    return number(text);
  });
  const Claims claims = read_claims(openat_of(victim, victim.result()));
  EXPECT_FALSE(claims.unreadable);
  EXPECT_EQ(claims.path, "/etc/some");
}

TEST(Claims, AStringThatRunsIntoAHoleIsUnreadable) {
  const test::Victim victim([] {
    char* pages = two_pages_the_second_missing();
    std::memset(pages, 'a', kPage);
    return number(pages);
  });
  EXPECT_TRUE(read_claims(openat_of(victim, victim.result())).unreadable);
}

TEST(Claims, AStringWithoutAnEndIsUnreadable) {
  const test::Victim victim([] {
    static char text[3 * kPage];
    std::memset(text, '/', sizeof text);
    return number(text);
  });
  EXPECT_TRUE(read_claims(openat_of(victim, victim.result())).unreadable);
}

TEST(Claims, NullAndKernelAddressesAreUnreadable) {
  const test::Victim victim([] { return std::uint64_t{0}; });
  for (const std::uint64_t address : {0ULL, 1ULL, 0xffffffff80000000ULL, ~0ULL})
    EXPECT_TRUE(read_claims(openat_of(victim, address)).unreadable) << address;
}

TEST(Claims, RelativePathsStartAtTheDirectoryTheCallNames) {
  const test::Victim victim([] {
    static char text[] = "../x/./y";
    if (::chdir("/usr/lib") != 0) return std::uint64_t{0};
    const int dir = ::open("/usr/share", O_RDONLY | O_DIRECTORY);
    if (::dup2(dir, 77) != 77) return std::uint64_t{0};
    return number(text);
  });
  EXPECT_EQ(read_claims(openat_of(victim, victim.result())).path, "/usr/x/y");
  ReadRequest by_fd = openat_of(victim, victim.result());
  // The kernel looks at the low half of the register only.
  by_fd.args[0] = 0xdeadbeef00000000ULL | 77;
  EXPECT_EQ(read_claims(by_fd).path, "/usr/x/y");
}

TEST(Claims, SymlinksAreFollowedForTheReport) {
  const test::Victim victim(
      [] {
        static char text[] = "/tmp/link/authorized_keys";
        if (::mount("none", "/tmp", "tmpfs", 0, nullptr) != 0) return std::uint64_t{0};
        if (::symlink("/root", "/tmp/link") != 0) return std::uint64_t{0};
        return number(text);
      },
      CLONE_NEWNS);
  ASSERT_NE(victim.result(), 0U);
  const Claims claims = read_claims(openat_of(victim, victim.result()));
  EXPECT_EQ(claims.path, "/tmp/link/authorized_keys");
  EXPECT_EQ(claims.resolved, "/root/authorized_keys");
}

TEST(Claims, ALinkThatDanglesLeadsToWhatAnOpenWouldCreate) {
  const test::Victim victim(
      [] {
        static char text[] = "/tmp/dangling";
        if (::mount("none", "/tmp", "tmpfs", 0, nullptr) != 0) return std::uint64_t{0};
        if (::symlink("second", "/tmp/dangling") != 0) return std::uint64_t{0};
        if (::symlink("/root/not-there-yet", "/tmp/second") != 0) return std::uint64_t{0};
        return number(text);
      },
      CLONE_NEWNS);
  ASSERT_NE(victim.result(), 0U);
  EXPECT_EQ(read_claims(openat_of(victim, victim.result())).resolved, "/root/not-there-yet");
  // A name that is to be removed or renamed is the link itself.
  const ReadRequest unlink{victim.pid(), find_syscall("unlink"), {victim.result()}};
  EXPECT_EQ(read_claims(unlink).resolved, "/tmp/dangling");
}

TEST(Claims, ADescriptorsNameStandsForItsObject) {
  const test::Victim victim([] {
    static char text[] = "/proc/self/fd/77";
    return ::dup2(::open("/etc/passwd", O_PATH | O_CLOEXEC), 77) == 77 ? number(text) : 0;
  });
  EXPECT_EQ(read_claims(openat_of(victim, victim.result())).resolved, "/etc/passwd");
}

TEST(Claims, ProcLinksAreNotFollowedIntoTheReader) {
  const test::Victim victim([] {
    static char text[] = "/proc/self/root/etc";
    return number(text);
  });
  EXPECT_EQ(read_claims(openat_of(victim, victim.result())).resolved, "/proc/self/root/etc");
}

TEST(Claims, ArgvIsBoundedInNumberAndLength) {
  const test::Victim victim([] {
    static char word[kMaxArgBytes * 4];
    static char* argv[kMaxArgs * 4];
    std::memset(word, 'w', sizeof word - 1);
    for (char*& slot : argv) slot = word;
    return number(argv);
  });
  const ReadRequest request{
      victim.pid(), find_syscall("execve"), {victim.result(), victim.result(), 0}};
  const Claims claims = read_claims(request);
  EXPECT_EQ(claims.argv.size(), kMaxArgs);
  EXPECT_EQ(claims.argv[0].size(), kMaxArgBytes);
}

// A page that never arrives: the caller holds the reader up for ever. It must cost that caller
// only.
TEST(Reader, AStalledPageIsGivenUpAndOthersAreStillRead) {
  const test::Victim stalled(page_that_never_comes);
  ASSERT_NE(stalled.result(), 0U) << "userfaultfd is needed to stall a page";
  const test::Victim honest([] {
    static char text[] = "/etc/hostname";
    return number(text);
  });

  auto loop = std::move(*oci::Loop::create());
  auto reader = std::move(*Reader::create(*loop));
  const std::int64_t start = oci::monotonic_ms();
  std::optional<std::int64_t> stalled_after, honest_after;
  bool stalled_got_something = false;
  std::optional<std::string> honest_path;
  const auto finish = [&] {
    if (stalled_after && honest_after) loop->stop();
  };
  reader->read(openat_of(stalled, stalled.result()), [&](std::optional<Claims> claims) {
    stalled_after = oci::monotonic_ms() - start;
    stalled_got_something = claims.has_value();
    finish();
  });
  reader->read(openat_of(honest, honest.result()), [&](std::optional<Claims> claims) {
    honest_after = oci::monotonic_ms() - start;
    if (claims) honest_path = claims->path;
    finish();
  });
  loop->after(std::chrono::seconds(5), [&] { loop->stop(); });
  loop->run();
  ASSERT_TRUE(stalled_after && honest_after);
  EXPECT_FALSE(stalled_got_something);
  EXPECT_LT(*stalled_after, 2000);
  EXPECT_LT(*honest_after, *stalled_after) << "it must not wait behind the stalled one";
  EXPECT_EQ(honest_path, "/etc/hostname") << "after " << *honest_after << " ms";
}

TEST(Reader, TooManyStalledReadersRefuseInsteadOfPilingUpThreads) {
  const test::Victim stalled(page_that_never_comes);
  ASSERT_NE(stalled.result(), 0U) << "userfaultfd is needed to stall a page";
  auto loop = std::move(*oci::Loop::create());
  auto reader = std::move(*Reader::create(*loop));
  int refused = 0;
  constexpr int kTries = 3 * static_cast<int>(kMaxReaders);
  for (int i = 0; i < kTries; ++i)
    reader->read(openat_of(stalled, stalled.result()), [&](std::optional<Claims> claims) {
      EXPECT_FALSE(claims);
      if (++refused == kTries) loop->stop();
    });
  loop->after(std::chrono::seconds(10), [&] { loop->stop(); });
  loop->run();
  EXPECT_EQ(refused, kTries);
  std::size_t threads = 0;
  auto status = oci::read_file("/proc/self/status");
  if (status) threads = std::strtoul(status->c_str() + status->find("Threads:") + 8, nullptr, 10);
  EXPECT_LE(threads, kMaxReaders + 2);
}

// With the number of a pipe as its folder, in a root that has a folder named like that pipe.
TEST(Claims, ANameThatIsNoPathIsTakenAsItIs) {
  const test::Victim victim(
      [] {
        int ends[2];
        char folder[64] = "/mnt/";
        if (::mount("none", "/mnt", "tmpfs", 0, "size=1m") != 0 || ::pipe(ends) != 0 ||
            ::readlink(("/proc/self/fd/" + std::to_string(ends[0])).c_str(), folder + 5, 50) < 0 ||
            ::mkdir(folder, 0755) != 0 || ::chroot("/mnt") != 0)
          return std::uint64_t{0};
        return static_cast<std::uint64_t>(ends[0]);
      },
      CLONE_NEWNS);
  ASSERT_NE(victim.result(), 0U);
  static const char kEmpty[] = "";
  const Claims claims = read_claims(
      {victim.pid(), find_syscall("unlinkat"), {victim.result(), number(kEmpty), AT_REMOVEDIR}});
  EXPECT_TRUE(claims.path->starts_with("/pipe:[")) << *claims.path;
}

TEST(Reader, IsThereAgainOnceTheStalledCallersAreGone) {
  auto stalled = std::make_unique<test::Victim>(page_that_never_comes);
  ASSERT_NE(stalled->result(), 0U) << "userfaultfd is needed to stall a page";
  const test::Victim honest([] {
    static char text[] = "/etc/hostname";
    return number(text);
  });
  auto loop = std::move(*oci::Loop::create());
  auto reader = std::move(*Reader::create(*loop));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < kMaxReaders; ++i)
    reader->read(openat_of(*stalled, stalled->result()), [&](const std::optional<Claims>&) {
      if (++refused == kMaxReaders) loop->stop();
    });
  loop->run();
  const auto read_honest = [&] {
    std::optional<std::string> path;
    reader->read(openat_of(honest, honest.result()), [&](std::optional<Claims> claims) {
      if (claims) path = claims->path;
      loop->stop();
    });
    loop->run();
    return path;
  };
  EXPECT_EQ(read_honest(), std::nullopt) << "all readers are stuck";
  stalled.reset();
  std::optional<std::string> path;
  for (int i = 0; i < 100 && !path; ++i) {
    path = read_honest();
    ::usleep(10'000);
  }
  EXPECT_EQ(path, "/etc/hostname");
}

}  // namespace
}  // namespace moat::shim
