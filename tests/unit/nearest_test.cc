#include "policies/nearest.h"

#include <gtest/gtest.h>

#include <array>

#include "policies/text.h"

namespace moat::policies {
namespace {

constexpr std::array<std::string_view, 5> kWords{"filesystem", "device", "network", "process",
                                                 "system"};

TEST(Nearest, FindsTheWordBehindASlip) {
  struct Row {
    std::string_view given, meant;
  };
  for (const Row& row :
       {Row{"filesytem", "filesystem"}, Row{"netwrok", "network"}, Row{"proces", "process"},
        Row{"Devices", "device"}, Row{"sytem", "system"}, Row{"NETWORK", "network"}})
    EXPECT_EQ(nearest(row.given, kWords), row.meant) << row.given;
}

TEST(Nearest, StaysSilentWhenNothingIsNear) {
  for (std::string_view word : {"", "files", "x", "memory", "kubernetes"})
    EXPECT_FALSE(nearest(word, kWords)) << word;
  EXPECT_FALSE(nearest(std::string(100'000, 'a'), kWords));
}

TEST(Nearest, CountsASwapAsOneEdit) {
  constexpr std::array<std::string_view, 1> kShort{"off"};
  EXPECT_EQ(nearest("fof", kShort), "off");
  EXPECT_FALSE(nearest("foo", kShort));
}

TEST(Suggest, NamesTheNearestOrAllOfThem) {
  EXPECT_EQ(suggest("devise", kWords), "; did you mean 'device'?");
  EXPECT_EQ(suggest("zebra", kWords), "; valid: filesystem, device, network, process, system");
  EXPECT_EQ(suggest("zebra", {}), "");
}

TEST(Suggest, TellsWhatAValueMayBe) {
  constexpr std::array<std::string_view, 4> kModes{"off", "audit", "learn", "enforce"};
  EXPECT_EQ(not_one_of("enforced", kModes),
            "'enforced' is not one of off, audit, learn, enforce; did you mean 'enforce'?");
  EXPECT_EQ(not_one_of("\x1b[31mred", kModes),
            "'\\u{1b}[31mred' is not one of off, audit, learn, enforce");
}

TEST(Printable, ShowsNothingATerminalWouldActUpon) {
  EXPECT_EQ(printable("a\xC2\x9B"
                      "b"),
            "a\\u{9b}b");                                     // C1's CSI
  EXPECT_EQ(printable("x\xE2\x80\xAEgpj"), "x\\u{202e}gpj");  // right-to-left override
  EXPECT_EQ(printable("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");    // overlong '/'
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");    // a surrogate
  EXPECT_EQ(printable("modèle/模型"), "modèle/模型");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

}  // namespace
}  // namespace moat::policies
