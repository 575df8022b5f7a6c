#include "shim/task/stdio_target.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

using Kind = StdioTarget::Kind;

struct Case {
  const char* uri;
  Kind kind;
  const char* path;
  std::vector<std::string> arguments = {};
  bool ready_byte = false;
};

TEST(StdioTarget, EveryFormAClientMayUse) {
  const Case cases[] = {
      {"", Kind::Null, ""},
      {"/run/f", Kind::Fifo, "/run/f"},
      {"fifo:///run/f", Kind::Fifo, "/run/f"},
      {"file:///var/log/x", Kind::File, "/var/log/x"},
      {"binary:///bin/logger", Kind::Binary, "/bin/logger"},
      {"binary:///bin/logger?a=1&b=2", Kind::Binary, "/bin/logger", {"a", "1", "b", "2"}},
      {"binary:///bin/logger?flag", Kind::Binary, "/bin/logger", {"flag", ""}},
      {"binary:///bin/logger?a=1&a=2", Kind::Binary, "/bin/logger", {"a", "1"}},
      {"binary:///my%20logger?a=b%3Dc+d&", Kind::Binary, "/my logger", {"a", "b=c d"}},
      {"binary-v2:///bin/logger", Kind::Binary, "/bin/logger", {}, true},
  };
  for (const Case& c : cases) {
    const auto target = parse_stdio_target(c.uri);
    ASSERT_TRUE(target) << c.uri << ": " << target.error().what;
    EXPECT_EQ(target->kind, c.kind) << c.uri;
    EXPECT_EQ(target->path, c.path) << c.uri;
    EXPECT_EQ(target->arguments, c.arguments) << c.uri;
    EXPECT_EQ(target->ready_byte, c.ready_byte) << c.uri;
  }
}

TEST(StdioTarget, WhatCannotBeIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"syslog://x", "unknown STDIO scheme syslog"},
      {"binary://logger", "logging binary \"logger\" is not an absolute path"},
      {"binary:///x%2", "\"/x%2\" has a broken % escape"},
      {"binary:///x?a=%zz", "\"%zz\" has a broken % escape"},
  };
  for (const auto& [uri, what] : cases) {
    const auto target = parse_stdio_target(uri);
    ASSERT_FALSE(target) << uri;
    EXPECT_EQ(target.error().what, what) << uri;
  }
}

}  // namespace
}  // namespace moat::shim
