// What is open already, held against a boundary.
#include "shim/supervise/carried.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

using Kind = Carried::Kind;

policies::Boundary boundary() {
  policies::Boundary allowed;
  allowed.modify.add("/tmp/**");
  allowed.devices.add("/dev/null");
  return allowed;
}

TEST(Carried, WhatTheBoundaryGivesIsNotWorthAWord) {
  const auto judgement = judge({{Kind::Device, true, 7, "server", "/dev/null"},
                                {Kind::Map, true, 7, "server", "/tmp/shared (deleted)"},
                                {Kind::Map, true, 7, "server", "/memfd:x (deleted)"}},
                               boundary());
  EXPECT_EQ(judgement.danger, "");
  EXPECT_EQ(judgement.told, "");
}

TEST(Carried, WhatItDoesNotGiveIsTold) {
  struct Case {
    Carried carried;
    const char* told;
  };
  for (const auto& [carried, told] :
       {Case{{Kind::Device, true, 7, "server", "/dev/sda"},
             "server (pid 7) has /dev/sda open for writing"},
        Case{{Kind::Program, false, 7, "server", "/memfd:x (deleted)"},
             "executable memory file /memfd:x"},
        Case{{Kind::Queue, false, 7, "server", "/dev/mqueue/q"}, "has /dev/mqueue/q open"},
        Case{{Kind::Map, true, 7, "server", "/data/db"}, "/data/db mapped, shared and writable"},
        Case{{Kind::Strange, false, 7, "server", "/host/file"}, "has /host/file open"},
        Case{{Kind::Memory, false, 7, "server", "/proc/9/mem"}, "has /proc/9/mem open"}}) {
    const auto judgement = judge({carried}, boundary());
    EXPECT_NE(judgement.told.find(told), std::string::npos) << judgement.told;
    EXPECT_EQ(judgement.danger, "") << carried.name;
  }
}

TEST(Carried, AProcessesMemoryOpenForWritingMustNotBe) {
  const auto judgement = judge({{Kind::Memory, true, 7, "server", "/proc/9/mem"}}, boundary());
  EXPECT_NE(judgement.danger.find("server (pid 7) has /proc/9/mem open for writing"),
            std::string::npos);
}

TEST(Carried, ManyAreTenAndANumber) {
  std::vector<Carried> many(25, {Kind::Device, true, 7, "server", "/dev/sda"});
  const auto judgement = judge(many, boundary());
  EXPECT_NE(judgement.told.find(" and 15 more"), std::string::npos) << judgement.told;
  EXPECT_LT(judgement.told.size(), 1024U);
}

TEST(Carried, TravelsAsALineWhateverTheNameHolds) {
  const Carried odd{Kind::Map, true, 12, "a b", "/data/x\n\ty"};
  const auto back = from_lines(to_line(odd) + to_line({Kind::Queue, false, 3, "q", "/q"}));
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(back[0].kind, Kind::Map);
  EXPECT_TRUE(back[0].writable);
  EXPECT_EQ(back[0].pid, 12);
  EXPECT_EQ(back[0].comm, "a b");
  EXPECT_EQ(back[0].name.find_first_of("\n"), std::string::npos);
  EXPECT_EQ(back[1].name, "/q");
}

}  // namespace
}  // namespace moat::shim
