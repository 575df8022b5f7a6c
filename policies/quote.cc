#include "policies/quote.h"

#include <fmt/format.h>

#include <algorithm>

#include "policies/text.h"

namespace moat::policies {
namespace {

std::string escape(char32_t value) {
  const auto unit = static_cast<std::uint32_t>(value);
  if (unit < 0x10000) return fmt::format("\\u{:04x}", unit);
  const std::uint32_t rest = unit - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

std::string escaped(std::string_view bytes, const CodePoint& point) {
  if (!point.valid) return "\\ufffd";
  switch (bytes.front()) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    default:  // characters, not an enumeration
      return is_control(point.value) ? escape(point.value) : std::string(bytes);
  }
}

}  // namespace

Quoted quote(std::string_view text, std::size_t limit) {
  constexpr std::string_view kCut = "…";
  constexpr std::size_t kQuotes = 2;
  const std::size_t room = limit - std::min(limit, kQuotes + kCut.size());
  Quoted out{"\"", false};
  // Where the text ends if it has to be cut: the last place that leaves room for the mark.
  std::size_t cut = out.json.size();
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = first_code_point(text.substr(at));
    out.json += escaped(text.substr(at, point.length), point);
    if (out.json.size() <= room + 1) cut = out.json.size();
    if (out.json.size() + 1 > limit) {
      out.json.resize(cut);
      out.json += kCut;
      out.truncated = true;
      break;
    }
    at += point.length;
  }
  out.json += '"';
  return out;
}

}  // namespace moat::policies
