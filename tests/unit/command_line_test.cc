#include "shim/command_line.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

TEST(CommandLine, TakesWhatContainerdWrites) {
  const auto start =
      parse_command_line({"-namespace", "k8s.io", "-address", "/c.sock", "-publish-binary",
                          "/usr/bin/containerd", "-id", "c1", "start"});
  ASSERT_TRUE(start);
  EXPECT_EQ(start->ns, "k8s.io");
  EXPECT_EQ(start->id, "c1");
  EXPECT_EQ(start->address, "/c.sock");
  EXPECT_EQ(start->action, Action::Start);
  const auto removal = parse_command_line({"-namespace", "n", "-address", "a", "-publish-binary",
                                           "p", "-id", "c1", "-bundle", "/b", "delete"});
  ASSERT_TRUE(removal);
  EXPECT_EQ(removal->bundle, "/b");
  EXPECT_EQ(removal->action, Action::Delete);
}

TEST(CommandLine, HasGosSyntax) {
  const auto line =
      parse_command_line({"--id=c=1", "-debug", "--namespace", "-dash", "-info=false"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->id, "c=1");
  EXPECT_EQ(line->ns, "-dash");
  EXPECT_TRUE(line->debug);
  EXPECT_FALSE(line->info);
  EXPECT_EQ(line->action, Action::Serve);
}

TEST(CommandLine, EndsItsFlagsAtTheFirstOtherWord) {
  const auto line = parse_command_line({"-id", "c1", "start", "-colour"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->action, Action::Start);
}

TEST(CommandLine, SaysWhatIsWrong) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"-colour", "start"}, "flag provided but not defined: -colour"},
      {{"-id"}, "flag needs an argument: -id"},
      {{"-debug=maybe"}, "-debug: invalid boolean value \"maybe\""},
      {{"-id", "c1", "restart"}, "unknown action: restart"},
  };
  for (const auto& [arguments, text] : cases) {
    const auto line = parse_command_line(arguments);
    ASSERT_FALSE(line) << text;
    EXPECT_EQ(line.error().what, text);
  }
}

}  // namespace
}  // namespace moat::shim
