// The numbers of a container's events go on where its last writer was killed.
#include "shim/supervise/event_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "oci/sys.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

struct EventLogTest : ::testing::Test {
  test::TempDir dir;
  std::string path = dir.path() + "/events.jsonl";

  UniqueFd file() const {
    return std::move(*oci::open_file(path, O_RDWR | O_APPEND | O_CREAT, 0600));
  }
  std::string text() const { return *oci::read_file(path); }
};

TEST_F(EventLogTest, ASuccessorNumbersOn) {
  EventLog first(file());
  for (int i = 0; i < 41; ++i) first.write({});
  EventLog(file(), true).write({});
  EXPECT_NE(text().find(R"("seq":42,)"), std::string::npos);
}

TEST_F(EventLogTest, HalfALineOfTheLastWriterIsTakenBack) {
  EventLog(file()).write({});
  const std::string whole = text();
  ASSERT_TRUE(oci::write_all(file().raw(), R"({"schema":"moat.dev/ev)"));
  EventLog second(file(), true);
  EXPECT_EQ(text(), whole);
  second.write({});
  EXPECT_NE(text().find(R"("seq":2,)"), std::string::npos);
}

TEST_F(EventLogTest, AFileWithoutALineBeginsAtOne) {
  EventLog(file(), true).write({});
  EXPECT_NE(text().find(R"("seq":1,)"), std::string::npos);
}

TEST_F(EventLogTest, KnowsWhenItsFileIsLong) {
  const EventLog log(file());
  EXPECT_FALSE(log.is_long());
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(kLongFile)), 0);
  EXPECT_TRUE(log.is_long());
}

}  // namespace
}  // namespace moat::shim
