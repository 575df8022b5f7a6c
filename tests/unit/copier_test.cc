#include "shim/task/copier.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include "oci/sys.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
  }
};

// What comes out of `from` until its end.
std::string collect(oci::Loop& loop, int from) {
  std::string seen;
  EXPECT_TRUE(loop.watch(from, EPOLLIN, [&](std::uint32_t) {
    char buffer[32768];
    const ssize_t n = ::read(from, buffer, sizeof buffer);
    if (n == 0) loop.stop();
    if (n > 0) seen.append(buffer, static_cast<std::size_t>(n));
  }));
  loop.after(std::chrono::seconds(10), [&] { loop.stop(); });
  loop.run();
  loop.forget(from);
  return seen;
}

std::string text_of(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

TEST(Copier, AFileGoesThroughWholeAndEnds) {
  for (const bool by_hand : {false, true}) {
    const test::TempDir dir;
    const std::string text = text_of(3U << 20);
    dir.file("in", text);
    auto loop = std::move(*oci::Loop::create());
    Pipe pipe;
    Copier copier(*loop, std::move(*oci::open_file(dir.at("in"), O_RDONLY)), std::move(pipe.write),
                  false);
    if (by_hand) copier.avoid_splice();
    copier.start([] {});
    EXPECT_TRUE(collect(*loop, pipe.read.raw()) == text);
    EXPECT_TRUE(copier.finished());
  }
}

TEST(Copier, APipeGoesThroughWholeAndEnds) {
  const std::string text = text_of(40000);
  auto loop = std::move(*oci::Loop::create());
  Pipe in, out;
  ASSERT_TRUE(oci::write_all(in.write.raw(), text));
  in.write.reset();
  Copier copier(*loop, std::move(in.read), std::move(out.write), false);
  bool finished = false;
  copier.start([&] { finished = true; });
  EXPECT_TRUE(collect(*loop, out.read.raw()) == text);
  EXPECT_TRUE(finished);
}

TEST(Copier, ADeviceThatCannotBeWaitedForIsAnEmptyInput) {
  auto loop = std::move(*oci::Loop::create());
  Pipe pipe;
  Copier copier(*loop, std::move(*oci::open_file("/dev/null", O_RDONLY)), std::move(pipe.write),
                false);
  copier.start([] {});
  EXPECT_EQ(collect(*loop, pipe.read.raw()), "");
}

TEST(Copier, NothingIsCalledAfterClose) {
  const test::TempDir dir;
  dir.file("in", text_of(1U << 20));
  auto loop = std::move(*oci::Loop::create());
  Pipe pipe;
  {
    Copier copier(*loop, std::move(*oci::open_file(dir.at("in"), O_RDONLY)), std::move(pipe.write),
                  false);
    copier.start([] { ADD_FAILURE() << "finished after close"; });
    copier.close();
  }
  loop->after(std::chrono::milliseconds(20), [&] { loop->stop(); });
  loop->run();
}

}  // namespace
}  // namespace moat::shim
