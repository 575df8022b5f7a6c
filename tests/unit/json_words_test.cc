#include "shim/task/json_words.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

std::string words(std::string_view text) {
  const auto status = check_json_object(text, "specs.Process");
  return status ? "" : status.error().what;
}

TEST(JsonWords, SayNothingOfAnObject) {
  for (const char* good :
       {"{}", " {\"a\": [1, -2.5e+3, true, null, \"\\u00e9\\n\"]}\n", "null", "{\"a\":{\"b\":[]}}"})
    EXPECT_EQ(words(good), "") << good;
}

// The right column is what encoding/json says.
TEST(JsonWords, AreGosForWhatIsNoJson) {
  const std::pair<const char*, const char*> table[] = {
      {"", "unexpected end of JSON input"},
      {"  ", "unexpected end of JSON input"},
      {"{", "unexpected end of JSON input"},
      {"{\"a", "unexpected end of JSON input"},
      {"tru", "unexpected end of JSON input"},
      {"{nope", "invalid character 'n' looking for beginning of object key string"},
      {"{\"a\" 1}", "invalid character '1' after object key"},
      {"{\"a\": 1 2}", "invalid character '2' after object key:value pair"},
      {"{\"a\": }", "invalid character '}' looking for beginning of value"},
      {"{\"a\": 1,}", "invalid character '}' looking for beginning of object key string"},
      {"[1 2]", "invalid character '2' after array element"},
      {"{} x", "invalid character 'x' after top-level value"},
      {"trie", "invalid character 'i' in literal true (expecting 'u')"},
      {"{\"a\": \"\n\"}", "invalid character '\\n' in string literal"},
      {"\"\\q\"", "invalid character 'q' in string escape code"},
      {"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"},
      {"-x", "invalid character 'x' in numeric literal"},
      {"1.x", "invalid character 'x' after decimal point in numeric literal"},
      {"1ex", "invalid character 'x' in exponent of numeric literal"},
      {"'a'", "invalid character '\\'' looking for beginning of value"},
      {"\x01", "invalid character '\\x01' looking for beginning of value"},
      {"\xe9", "invalid character 'é' looking for beginning of value"},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(words(text), expected) << text;
}

TEST(JsonWords, AreGosForJsonThatIsNoObject) {
  const std::pair<const char*, const char*> table[] = {
      {"[]", "array"}, {"\"x\"", "string"}, {"7", "number"}, {"true", "bool"}};
  for (const auto& [text, kind] : table)
    EXPECT_EQ(words(text), "json: cannot unmarshal " + std::string(kind) +
                               " into Go value of type specs.Process");
}

TEST(JsonWords, EndANestingWithoutEnd) {
  EXPECT_EQ(words(std::string(20000, '[')), "exceeded max depth");
}

}  // namespace
}  // namespace moat::shim
