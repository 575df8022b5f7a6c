#include <gtest/gtest.h>

#include "shim/log.h"

namespace moat::shim {
namespace {

TEST(LogLine, LooksLikeLogrus) {
  EXPECT_EQ(log_line(LogLevel::Info, 0, "shim", {{"id", "c1"}}),
            "time=\"1970-01-01T00:00:00Z\" level=info msg=\"shim\" id=\"c1\"\n");
}

TEST(LogLine, ForeignTextCannotForgeALine) {
  EXPECT_EQ(
      log_line(LogLevel::Error, 0, "a\"b\\c\nd", {{"k", "\x1b[2J\tx"}}),
      "time=\"1970-01-01T00:00:00Z\" level=error msg=\"a\\\"b\\\\c\\nd\" k=\"\\x1b[2J\\x09x\"\n");
}

}  // namespace
}  // namespace moat::shim
