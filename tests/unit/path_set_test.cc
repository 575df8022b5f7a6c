#include <gtest/gtest.h>

#include <ctime>

#include "policies/policy.h"

namespace moat::policies {
namespace {

PathSet set_of(std::initializer_list<const char*> patterns) {
  PathSet set;
  for (const char* pattern : patterns) set.add(pattern);
  return set;
}

struct Row {
  const char* pattern;
  const char* path;
  bool inside;
};

constexpr Row kRows[] = {
    {"/a/b", "/a/b", true},
    {"/a/b", "/a/b/", true},
    {"/a/b", "/a//b", true},
    {"/a/b", "/a/bc", false},
    {"/a/b", "/a/b/c", false},
    {"/a/b", "/a", false},
    {"/a/b", "/A/b", false},
    {"/a/**", "/a", true},
    {"/a/**", "/a/b", true},
    {"/a/**", "/a/.hidden/b c", true},
    {"/a/**", "/ab", false},
    {"/a/**", "/", false},
    {"/**", "/", true},
    {"/**", "/x/y", true},
    {"/a/*", "/a/b", true},
    {"/a/*", "/a", false},
    {"/a/*", "/a/b/c", false},
    {"/dev/nvidia*", "/dev/nvidia0", true},
    {"/dev/nvidia*", "/dev/nvidia-caps/x", false},
    {"/*.sh", "/run.sh", true},
    {"/*.sh", "/opt/run.sh", false},
    {"/a?c", "/abc", true},
    {"/a?c", "/ac", false},
    {"/a?c", "/a/c", false},
    {"/a/**/z", "/a/z", true},
    {"/a/**/z", "/a/b/c/z", true},
    {"/a/**/z", "/a/b/z/c", false},
    {"/a/**/b/**/c", "/a/b/x/b/c", true},
    {"/a/**/b/*", "/a/b/b/b", true},
    {"/**/b/x", "/b/y/b/x", true},
    {"/x/a*b*c", "/x/aXbXbXc", true},
    {"/x/a*b*c", "/x/aXbXbX", false},
    {"/~/.*/**", "/~/.ssh/id", true},
    {"/~/.*/**", "/~/.netrc", true},
    {"/~/.*/**", "/~/work", false},
    // Brackets and backslashes are characters, not syntax.
    {"/a/[b]", "/a/[b]", true},
    {"/a/[b]", "/a/b", false},
    {"/a/\\*", "/a/\\x", true},
    {"/a/\\*", "/a/*", false},
};

TEST(PathSet, MatchesComponentByComponent) {
  for (const Row& row : kRows)
    EXPECT_EQ(set_of({row.pattern}).contains(row.path), row.inside)
        << row.pattern << "  " << row.path;
}

TEST(PathSet, ContainsNoPathThatIsRelativeOrNotNormal) {
  const PathSet all = set_of({"/**", "/a/**", "/*"});
  for (const char* path :
       {"", "a", "a/b", "pipe:[1]", "..", "/a/..", "/a/../b", "/a/./b", "/..", "/."})
    EXPECT_FALSE(all.contains(path)) << path;
  EXPECT_TRUE(all.contains("/a/...")) << "three dots are a name";
}

TEST(PathSet, TakesAwayOnlyFromThePatternBefore) {
  const PathSet set = set_of({"/h/**", "!/h/.*/**", "!/h/x", "/h/.cache/**"});
  EXPECT_TRUE(set.contains("/h/app.py"));
  EXPECT_FALSE(set.contains("/h/.ssh/id_rsa"));
  EXPECT_FALSE(set.contains("/h/x"));
  EXPECT_TRUE(set.contains("/h/.cache/y"));
  const PathSet other = set_of({"/h/.cache/**", "/h/**", "!/h/.*/**"});
  EXPECT_TRUE(other.contains("/h/.cache/y")) << "the order of the sets does not matter";
}

TEST(PathSet, WithoutPatternsContainsNothing) {
  EXPECT_FALSE(PathSet().contains("/"));
  EXPECT_FALSE(set_of({"!/a"}).contains("/a"));
}

// A matcher that tries every split needs longer than the universe has for these.
TEST(PathSet, NeedsLittleTimeForHostilePatternsAndPaths) {
  std::string pattern, path, stars = "/x";
  for (int i = 0; i < 600; ++i) pattern += "/**/a*a*a";
  for (int i = 0; i < 1300; ++i) path += "/aa";
  for (int i = 0; i < 2000; ++i) stars += "*a";
  PathSet set;
  set.add(pattern + "/b");
  set.add(stars + "b");
  const std::clock_t start = std::clock();
  EXPECT_FALSE(set.contains(path));
  EXPECT_FALSE(set.contains("/x" + std::string(4000, 'a')));
  EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace moat::policies
