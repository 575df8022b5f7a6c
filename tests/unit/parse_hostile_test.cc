// Texts that are no policy at all: broken, huge, or made to cost time, memory or code execution.
#include <algorithm>
#include <climits>
#include <ctime>

#include "tests/support/policy_text.h"

namespace moat::policies {
namespace {

using test::Bad, test::error_of, test::expect_errors, test::with_spec;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__  // as g++ says it
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
constexpr int kSlow = 10;
#else
constexpr int kSlow = 1;
#endif

TEST(ParseHostile, RefusesWhatIsNoYamlOrJsonAtItsPlace) {
  expect_errors({
      {"a: [1, 2\nb: 3\n", "p.yaml:2:2: not YAML: …"},
      {"a: [1\n", "p.yaml:2:1: not YAML: …"},
      {"kind: 'x\nspec: {}\n", "p.yaml:1:7: a quote is opened here and never closed"},
      {"kind: \"x\\\"\nspec: {}\n", "p.yaml:1:7: a quote is opened here and never closed"},
      {"kind: 'it''s\nspec: {}\n", "p.yaml:1:7: a quote is opened here and never closed"},
      {"'ä': \"ö\n", "p.yaml:1:7: a quote is opened here and never closed"},
      {"kind: 'it''s'\n", "p.yaml:1:7: kind: 'it's' is not supported…"},
      {"kind: |\n  'x\n", "p.yaml:1:7: kind: ''x\\u{a}' is not supported…"},
      {"\tkind: x\n", "p.yaml:1:6: not YAML: illegal map value; indent with spaces, not with tabs"},
      {"{\"kind\": \"LifecyclePolicy\",\n \"spec\": {\"mode\": audit\n",
       "p.yaml:2:19: not JSON: Invalid value."},
      {R"({"spec": {"models": ["a\"b\\"]}})",
       R"(p.yaml:1:22: spec.models[0]: 'a"b\' is not an absolute …)"},
      {"{\"kind\": 1, \"kind\": 2}", "p.yaml:1:13: duplicate key 'kind'"},
      {"{\n  \"metadata\": {\"nam\\u0065\": \"a\", \"namme\": 1}}",
       "p.yaml:2:34: metadata: unknown key 'namme'; did you mean 'name'?"},
      {"{\"metadata\": {\"name\": 7}, \"spec\": {\"mode\": 12}}",
       "p.yaml:1:44: spec.mode: '12' is not one of off, audit, learn, enforce"},
  });
}

// Processor time of the quickest of three runs: others may be busy on the machine.
template <class Work>
long least_ms(Work work) {
  long least = LONG_MAX;
  for (int run = 0; run < 3 && least >= 100; ++run) {
    const std::clock_t start = std::clock();
    work();
    least = std::min(least, (std::clock() - start) * 1000 / CLOCKS_PER_SEC);
  }
  return least;
}

TEST(ParseHostile, RefusesBombsAndTricksQuickly) {
  const auto repeat = [](const std::string& text, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  std::string laughs = "a0: &a0 [lol, lol]\n";
  for (int i = 1; i < 10; ++i)
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
              std::to_string(i - 1) + ", *a" + std::to_string(i - 1) + "]\n";
  const std::size_t most = (256U << 10) - 1;
  std::string keys;
  for (int i = 0; i < 25'000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  const std::vector<Bad> rows = {
      {laughs, "p.yaml:1:5: anchors (&name) are not supported; repeat the value"},
      {"a: *b\n", "p.yaml:1:4: …"},
      {"a: !!python/object/apply:os.system [id]\n", "p.yaml:1:4: tags (…"},
      {"a: !x y\n", "p.yaml:1:4: tags (!x) are not supported"},
      {"<<: {a: 1}\n", "p.yaml:1:1: unknown key '<<'; valid: …"},
      {"? [a]\n: 1\n", "p.yaml:1:3: a key must be a word, not a list or a mapping"},
      {"? {a: 1}\n", "p.yaml:1:3: a key must be a word, not a list or a mapping"},
      {std::string("kind: a\0b", 9), "p.yaml:1:8: a NUL character"},
      {"kind: \xff\n", "p.yaml:1:7: not UTF-8"},
      {"kind: \xc0\xaf\n", "p.yaml:1:7: not UTF-8"},
      {"\xff\xfek\0i\0", "p.yaml:1:1: not UTF-8"},
      {std::string(10U << 20, 'a'), "p.yaml: 10485760 bytes; a policy has at most 262144"},
      {repeat("[", most), "…"},
      {repeat("{", most), "…"},
      {repeat("{\"a\":", most / 5), "p.yaml:1:80: nested deeper than 16 levels"},
      {repeat("[a,", most / 3), "…"},
      {repeat("- ", most / 2), "…"},
      {repeat("? ", most / 2), "…"},
      {repeat("a: ", most / 3), "…"},
      {"[" + repeat("a,", most / 2 - 1), "p.yaml:1:1: more than 20000 values"},
      {repeat("- a\n", most / 4), "p.yaml:20000:3: more than 20000 values"},
      {keys, "p.yaml:10000:8: more than 20000 values"},
      {repeat("---\na\n", most / 6), "p.yaml:130:1: more than 64 documents"},
      {"kind: " + std::string(most - 8, 'a'), "p.yaml:1:7: kind: …"},
      {"kind: \"" + repeat("\\x41", most / 4 - 4) + "\"", "p.yaml:1:7: kind: …"},
      {"kind: |\n" + repeat(" a\n", most / 3 - 4), "p.yaml:1:7: kind: …"},
      {repeat("#\n", most / 2), "p.yaml:1:1: no policy in the text"},
      {repeat("&", most), "…"},
      {repeat("%", most), "…"},
      {repeat("\"", most), "…"},
      {repeat("\n", most), "…"},
      {repeat(" ", most), "…"},
      {repeat("-\n", most / 2), "…"},
      {repeat("a:\n", most / 3), "…"},
      {repeat("!a ", most / 3), "…"},
      {repeat("---\n", most / 4), "…"},
      {repeat("a b: [", most / 6), "…"},
      {repeat("'", most), "…"},
      {"kind: >\n" + repeat("\n", most - 8), "…"},
      {repeat("[]", most / 2), "…"},
      {repeat("{}", most / 2), "…"},
      {repeat("]", most), "…"},
  };
  for (const Bad& row : rows) {
    std::string error;
    const auto took = least_ms([&] { error = error_of(row.text); });
    EXPECT_NE(error, "no error") << row.text.substr(0, 40);
    EXPECT_LT(error.size(), 400U);
    if (row.error.ends_with("…"))
      EXPECT_TRUE(error.starts_with(row.error.substr(0, row.error.size() - 3))) << error;
    else
      EXPECT_EQ(error, row.error);
    EXPECT_LT(took, kSlow * 100) << row.text.substr(0, 40);
  }
}

}  // namespace
}  // namespace moat::policies
