#include <gtest/gtest.h>

#include "shim/ctl/ps_view.h"
#include "shim/ctl/table.h"

namespace moat::shim::ctl {
namespace {

TEST(Table, AlignsColumnsByCharactersNotBytes) {
  Table table({"ID", "PHASE"});
  table.add({"größe", "load"});
  table.add({"a", ""});
  EXPECT_EQ(table.text(),
            "ID     PHASE\n"
            "größe  load\n"
            "a      -\n");
}

TEST(Table, NoCellReachesTheTerminalRaw) {
  Table table({"ID"});
  table.add({"\x1b[2J\x1b]0;owned\x07\nroot\r\xc2\x9b"});
  const std::string text = table.text();
  for (const char c : {'\x1b', '\x07', '\r'}) EXPECT_EQ(text.find(c), std::string::npos);
  EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos) << "C1 controls are controls as well";
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
}

TEST(Table, CutsWhatIsTooLongAndShowsIt) {
  const std::string shown = cell(std::string(5000, 'x'));
  EXPECT_LT(shown.size(), kMaxCell + 10);
  EXPECT_TRUE(shown.ends_with("…"));
}

TEST(Table, ARowShorterThanTheHeaderIsFilledUp) {
  Table table({"A", "B"});
  table.add({"1"});
  EXPECT_EQ(table.text(), "A  B\n1  \n");
}

struct Age {
  std::int64_t ms;
  const char* text;
};

TEST(PsView, AgesAreReadable) {
  for (const Age& age :
       {Age{-1, "-"}, Age{0, "0ms"}, Age{999, "999ms"}, Age{1000, "1s"}, Age{59999, "59s"},
        Age{60000, "1m00s"}, Age{184000, "3m04s"}, Age{3600000, "1h00m"}, Age{7500000, "2h05m"},
        Age{86400000, "1d00h"}, Age{356400000, "4d03h"}})
    EXPECT_EQ(readable_age(age.ms), age.text);
}

moat::control::v1::Container container(const char* id) {
  moat::control::v1::Container made;
  made.set_namespace_("k8s.io");
  made.set_id(id);
  made.set_pid(4711);
  made.set_mode("enforce");
  made.set_profile("builtin/python");
  made.set_phase("serve");
  made.set_phase_since_ms(184000);
  made.set_violations(18446744073709551615U);
  made.set_shim_pid(99);
  return made;
}

TEST(PsView, TheTableHasALinePerContainerInOrder) {
  Containers containers{container("b"), container("a")};
  sort_containers(containers);
  const std::string text = ps_table(containers);
  EXPECT_EQ(text.find("NAMESPACE"), 0U);
  EXPECT_LT(text.find("k8s.io     a "), text.find("k8s.io     b "));
  EXPECT_NE(text.find("3m04s"), std::string::npos);
}

TEST(PsView, JsonKeepsWholeNumbersAndEveryField) {
  const std::string text = ps_json({container("a")});
  for (const char* part :
       {R"("namespace": "k8s.io")", R"("id": "a")", R"("pid": 4711)", R"("mode": "enforce")",
        R"("profile": "builtin/python")", R"("phase": "serve")", R"("phase_since_ms": 184000)",
        R"("violations": 18446744073709551615)", R"("would_denies": 0)", R"("notifications": 0)",
        R"("open_events": 0)", R"("supervisor_pid": 0)", R"("shim_pid": 99)"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

TEST(PsView, NoContainersAreAnEmptyArrayAndAHeader) {
  EXPECT_EQ(ps_json({}), "[]\n");
  EXPECT_TRUE(ps_table({}).starts_with("NAMESPACE"));
}

}  // namespace
}  // namespace moat::shim::ctl
