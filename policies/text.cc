#include "policies/text.h"

#include <fmt/format.h>

namespace moat::policies {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// How many bytes the lead byte announces; 0: not a lead byte.
std::uint8_t announced(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;  // C0 and C1 could only be overlong
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<unsigned char>(text.front());
  const std::uint8_t length = announced(lead);
  if (length == 1) return {lead, 1, true};
  if (length == 0 || length > text.size()) return {kReplacement, 1, false};
  char32_t value = lead & (0xFFU >> (length + 1));
  for (std::uint8_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {kReplacement, 1, false};
    value = (value << 6) | (byte & 0x3FU);
  }
  const bool surrogate = value >= 0xD800 && value < 0xE000;
  if (value < kLeast[length] || value > 0x10FFFF || surrogate) return {kReplacement, 1, false};
  return {value, length, true};
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = first_code_point(text.substr(at));
    if (!point.valid) return at;
    at += point.length;
  }
  return std::nullopt;
}

bool is_control(char32_t value) {
  if (value < 0x20 || (value >= 0x7F && value < 0xA0)) return true;
  if (value == 0x061C || value == 0xFEFF) return true;  // Arabic letter mark, zero-width no-break
  if (value >= 0x200B && value <= 0x200F) return true;  // zero width, left/right-to-left mark
  if (value >= 0x2028 && value <= 0x202E) return true;  // separators, embeddings, overrides
  if (value >= 0x2060 && value <= 0x206F) return true;  // word joiner, isolates
  return value >= 0xE0000 && value <= 0xE007F;          // tags
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (at >= limit) return out + "…";
    const CodePoint point = first_code_point(text.substr(at));
    if (!point.valid)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    else if (is_control(point.value))
      out += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(point.value));
    else
      out += text.substr(at, point.length);
    at += point.length;
  }
  return out;
}

}  // namespace moat::policies
