// Lines out of growing files, and several files as one stream.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "oci/sys.h"
#include "shim/ctl/line_buffer.h"
#include "shim/ctl/log_files.h"
#include "shim/ctl/merge.h"
#include "shim/ctl/tail.h"

namespace moat::shim::ctl {
namespace {

using Lines = std::vector<std::string>;

Lines all(LineBuffer& buffer) {
  Lines lines;
  while (auto line = buffer.next()) lines.push_back(*line);
  return lines;
}

TEST(LineBuffer, GivesTheSameLinesWhateverThePieces) {
  const std::string text = "one\n\ntwo\nhalf";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    LineBuffer buffer;
    Lines lines;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      buffer.push(std::string_view(text).substr(at, piece));
      std::ranges::move(all(buffer), std::back_inserter(lines));
    }
    EXPECT_EQ(lines, (Lines{"one", "", "two"}));
    EXPECT_EQ(buffer.rest(), "half");
    EXPECT_FALSE(buffer.rest());
  }
}

TEST(LineBuffer, AnEndlessLineCostsNoMoreThanItsBound) {
  LineBuffer buffer;
  for (int i = 0; i < 100; ++i) {
    buffer.push(std::string(kMaxLine, 'x'));
    EXPECT_FALSE(buffer.next());
  }
  buffer.push("xx\nnext\n");
  const Lines lines = all(buffer);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].size(), kMaxLine);
  EXPECT_EQ(lines[1], "next");
}

struct FakeSource : Source {
  explicit FakeSource(std::vector<std::int64_t> at) : times(std::move(at)) {}
  std::vector<std::int64_t> times;
  std::size_t given = 0;
  std::optional<EventLine> next() override {
    if (given == times.size()) return std::nullopt;
    EventLine line;
    line.time = times[given++];
    return line;
  }
};

TEST(Merge, OrdersByTimeAndKeepsEachSourcesOwnOrder) {
  FakeSource a({1, 5, 4, 9}), b({2, 2, 6}), c({});
  Source* sources[] = {&a, &b, &c};
  std::vector<std::int64_t> seen;
  merge(sources, [&](const EventLine& line) {
    seen.push_back(line.time);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2, 2, 5, 4, 6, 9}));
}

TEST(Merge, StopsWhenNobodyReadsAnyMore) {
  FakeSource a({1, 2, 3});
  Source* sources[] = {&a};
  int shown = 0;
  merge(sources, [&](const EventLine&) { return ++shown < 2; });
  EXPECT_EQ(shown, 2);
  merge({}, [](const EventLine&) { return true; });
}

class Files : public testing::Test {
 protected:
  Files() { folder_ = ::mkdtemp(name_); }
  ~Files() override { (void)oci::remove_tree(folder_); }
  void append(const std::string& text) {
    std::FILE* file = std::fopen(path().c_str(), "a");
    ASSERT_NE(file, nullptr);
    std::fputs(text.c_str(), file);
    std::fclose(file);
  }
  [[nodiscard]] std::string path() const { return folder_ + "/x.jsonl"; }
  char name_[32] = "/tmp/moat-tail-XXXXXX";
  std::string folder_;
};

TEST_F(Files, AHalfLineWaitsForItsOtherHalf) {
  append("one\ntw");
  auto tail = Tail::open(path());
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->next(), "one");
  EXPECT_FALSE(tail->next());
  append("o\n");
  EXPECT_EQ(tail->next(), "two");
  EXPECT_FALSE(tail->next());
}

TEST_F(Files, RotationLosesNothing) {
  append("one\n");
  auto tail = Tail::open(path());
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->next(), "one");
  append("two\nha");
  ASSERT_EQ(::rename(path().c_str(), (folder_ + "/x.jsonl.1").c_str()), 0);
  EXPECT_EQ(tail->next(), "two");
  EXPECT_FALSE(tail->next());
  EXPECT_FALSE(tail->removed());
  append("three\n");
  EXPECT_EQ(tail->next(), "ha");
  EXPECT_EQ(tail->next(), "three");
  ::unlink(path().c_str());
  EXPECT_TRUE(tail->removed());
}

TEST_F(Files, ATruncatedFileBeginsAgain) {
  append("a long first line\n");
  auto tail = Tail::open(path());
  ASSERT_TRUE(tail);
  EXPECT_TRUE(tail->next());
  EXPECT_FALSE(tail->next());
  ASSERT_EQ(::truncate(path().c_str(), 0), 0);
  append("new\n");
  EXPECT_EQ(tail->next(), "new");
}

TEST_F(Files, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_FALSE(Tail::open(path()));
  EXPECT_FALSE(Tail::open(folder_));
  const std::string link = folder_ + "/link.jsonl";
  ASSERT_EQ(::symlink("/etc/passwd", link.c_str()), 0);
  EXPECT_FALSE(Tail::open(link));
}

TEST_F(Files, AreFoundWhereTheyBelongAndNowhereElse) {
  for (const char* folder : {"/containers/deep", "/pods/a_b_c"})
    ASSERT_TRUE(oci::make_dirs(folder_ + folder, 0700));
  for (const char* file :
       {"/x.jsonl", "/pods/x.jsonl", "/containers/c.jsonl", "/containers/c.jsonl.1",
        "/containers/deep/x.jsonl", "/pods/a_b_c/vllm.jsonl", "/pods/a_b_c/vllm.txt"})
    ASSERT_TRUE(oci::write_file_atomic(folder_ + file, "", 0600));
  ASSERT_EQ(::symlink("/", (folder_ + "/pods/root").c_str()), 0);
  const auto folders = log_folders(folder_);
  ASSERT_TRUE(folders) << folders.error().what;
  EXPECT_EQ(log_files(*folders),
            (Lines{folder_ + "/pods/a_b_c/vllm.jsonl", folder_ + "/containers/c.jsonl"}));
  EXPECT_FALSE(log_folders(folder_ + "/missing"));
}

}  // namespace
}  // namespace moat::shim::ctl
