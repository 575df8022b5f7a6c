// Text from strangers: checked as UTF-8 and made safe to show. Nothing here trusts a length or a
// terminator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moat::policies {

struct CodePoint {
  char32_t value = 0;       // U+FFFD when the bytes are not UTF-8
  std::uint8_t length = 1;  // bytes taken, at least 1
  bool valid = true;
};

// The code point `text` begins with; `text` is not empty. Overlong forms, surrogates and values
// above U+10FFFF are invalid and take one byte.
CodePoint first_code_point(std::string_view text);

// The offset of the first byte that is not UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// True for what a terminal would act upon or hide: C0, DEL, C1, bidirectional controls (a file name
// must not reorder the line it is shown in), line separators and zero-width characters.
bool is_control(char32_t value);

// For error messages: controls and invalid bytes become \u{…}, a long text ends with "…".
std::string printable(std::string_view text, std::size_t limit = 80);

}  // namespace moat::policies
