#include "policies/sets.h"

#include <gtest/gtest.h>

#include "policies/objects.h"

namespace moat::policies {
namespace {

TEST(Sets, EachIsDocumentedInOneLine) {
  for (const NamedSet& set : named_sets()) {
    EXPECT_TRUE(set.name.starts_with('@')) << set.name;
    EXPECT_GT(set.help.size(), 10U) << set.name;
    EXPECT_LT(set.help.size(), 100U) << set.name;
    EXPECT_TRUE(!set.content.empty() || set.network != NamedSet::Network::None) << set.name;
    EXPECT_EQ(find_set(set.name), &set);
  }
  EXPECT_EQ(find_set("@nothing"), nullptr);
  EXPECT_EQ(find_set("python"), nullptr);
}

TEST(Sets, HaveLinesThatArePathsOrPlaces) {
  for (const NamedSet& set : named_sets()) {
    ASSERT_TRUE(set.content.empty() || !set.content.front().starts_with('!')) << set.name;
    for (std::string_view line : set.content) {
      if (line.starts_with('!')) line.remove_prefix(1);
      const std::string_view place = line.substr(0, line.find('/'));
      const bool known =
          place == "$models" || place == "$scratch" || place == "$cwd" || place == "$environment";
      if (known) line.remove_prefix(place.size());
      const auto ok = check_path(line, true);
      EXPECT_TRUE(ok) << set.name << ": " << (ok ? "" : ok.error().what);
    }
  }
}

TEST(Sets, KnowWhichActionsTheyFit) {
  const auto network = set_names(Action::NetworkAccess);
  EXPECT_EQ(network, (std::vector<std::string_view>{"@listen", "@resolver"}));
  for (Action action : kActions) {
    if (!takes_objects(action) || action == Action::NetworkAccess) continue;
    EXPECT_TRUE(check_object(action, "@python", false)) << to_string(action);
    EXPECT_FALSE(check_object(action, "@listen", false)) << to_string(action);
  }
  EXPECT_TRUE(check_object(Action::NetworkAccess, "@resolver", true));
  EXPECT_FALSE(check_object(Action::NetworkAccess, "@resolver", false));
}

TEST(Objects, NormaliseWithoutChangingTheMeaning) {
  EXPECT_EQ(normal_path("/a//b/"), "/a/b");
  EXPECT_EQ(normal_path("//"), "/");
  EXPECT_EQ(normal_path("/"), "/");
  EXPECT_EQ(normal_path("~/x/"), "~/x");
  EXPECT_FALSE(check_path("/" + std::string(4096, 'a'), true)) << "longer than PATH_MAX";
}

}  // namespace
}  // namespace moat::policies
