#include "shim/task/json_words.h"

#include <array>
#include <cstdio>
#include <string>

namespace moat::shim {

namespace {

constexpr int kMaxDepth = 10000;  // Go's own

// A character as Go quotes it in a message.
std::string quoted(char c) {
  if (c == '\'') return R"('\'')";
  if (c == '"') return R"('"')";
  if (c >= ' ' && c < 0x7f) return c == '\\' ? R"('\\')" : std::string("'") + c + "'";
  switch (c) {
    case '\a':
      return R"('\a')";
    case '\b':
      return R"('\b')";
    case '\f':
      return R"('\f')";
    case '\n':
      return R"('\n')";
    case '\r':
      return R"('\r')";
    case '\t':
      return R"('\t')";
    case '\v':
      return R"('\v')";
  }
  const auto byte = static_cast<unsigned char>(c);
  // Go takes a byte for the Latin-1 character of its number here.
  if (byte >= 0xa1 && byte != 0xad)
    return {'\'', static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f)),
            '\''};
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), byte < 0x80 ? "'\\x%02x'" : "'\\u%04x'", byte);
  return text.data();
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  Status document() {
    auto done = value(0);
    if (!done) return done;
    skip_space();
    return rest_.empty() ? Status() : invalid("after top-level value");
  }

 private:
  [[nodiscard]] Status invalid(const std::string& where) const {
    if (rest_.empty()) return fail(Code::Unknown, "unexpected end of JSON input");
    return fail(Code::Unknown, "invalid character " + quoted(rest_.front()) + " " + where);
  }

  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  [[nodiscard]] bool at_digit() const {
    return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
  }

  Status value(int depth) {
    if (depth > kMaxDepth) return fail(Code::Unknown, "exceeded max depth");
    skip_space();
    if (take('{')) return object(depth);
    if (take('[')) return array(depth);
    if (take('"')) return string();
    if (rest_.starts_with('-') || at_digit()) return number();
    for (const std::string_view word : {"true", "false", "null"})
      if (rest_.starts_with(word.front())) return literal(word);
    return invalid("looking for beginning of value");
  }

  Status object(int depth) {
    skip_space();
    if (take('}')) return {};
    for (;;) {
      skip_space();
      if (!take('"')) return invalid("looking for beginning of object key string");
      if (auto key = string(); !key) return key;
      skip_space();
      if (!take(':')) return invalid("after object key");
      if (auto member = value(depth + 1); !member) return member;
      skip_space();
      if (take('}')) return {};
      if (!take(',')) return invalid("after object key:value pair");
    }
  }

  Status array(int depth) {
    skip_space();
    if (take(']')) return {};
    for (;;) {
      if (auto element = value(depth + 1); !element) return element;
      skip_space();
      if (take(']')) return {};
      if (!take(',')) return invalid("after array element");
    }
  }

  Status string() {
    for (;;) {
      const auto ordinary = [](char c) {
        return static_cast<unsigned char>(c) >= ' ' && c != '"' && c != '\\';
      };
      while (!rest_.empty() && ordinary(rest_.front())) rest_.remove_prefix(1);
      if (take('"')) return {};
      if (!take('\\')) return invalid("in string literal");
      if (take('u')) {
        for (int i = 0; i < 4; ++i) {
          if (rest_.find_first_of("0123456789abcdefABCDEF") != 0)
            return invalid("in \\u hexadecimal character escape");
          rest_.remove_prefix(1);
        }
      } else if (rest_.find_first_of("bfnrt\\/\"") != 0) {
        return invalid("in string escape code");
      } else {
        rest_.remove_prefix(1);
      }
    }
  }

  void digits() {
    while (at_digit()) rest_.remove_prefix(1);
  }

  Status number() {
    (void)take('-');
    if (!at_digit()) return invalid("in numeric literal");
    if (!take('0')) digits();
    if (take('.')) {
      if (!at_digit()) return invalid("after decimal point in numeric literal");
      digits();
    }
    if (take('e') || take('E')) {
      if (!take('+')) (void)take('-');
      if (!at_digit()) return invalid("in exponent of numeric literal");
      digits();
    }
    return {};
  }

  Status literal(std::string_view word) {
    for (const char c : word)
      if (!take(c))
        return invalid("in literal " + std::string(word) + " (expecting " + quoted(c) + ")");
    return {};
  }

  std::string_view rest_;
};

std::string_view kind_of(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  switch (text[first]) {
    case '[':
      return "array";
    case '"':
      return "string";
    case 't':
    case 'f':
      return "bool";
    case '{':
    case 'n':
      return "";
  }
  return "number";
}

}  // namespace

Status check_json_object(std::string_view text, std::string_view type) {
  auto scanned = Scanner(text).document();
  if (!scanned) return scanned;
  const std::string_view kind = kind_of(text);
  if (kind.empty()) return {};
  return fail(Code::Unknown, "json: cannot unmarshal " + std::string(kind) +
                                 " into Go value of type " + std::string(type));
}

}  // namespace moat::shim
