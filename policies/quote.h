// Text of a workload as a JSON string, bounded and safe to show on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace moat::policies {

struct Quoted {
  std::string json;  // with its quotes
  bool truncated = false;
};

// At most `limit` bytes of JSON. Bytes that are not UTF-8 become �, controls \u escapes (C1, bidi
// and zero-width ones too, which JSON itself would let through); a cut ends with "…".
Quoted quote(std::string_view text, std::size_t limit);

}  // namespace moat::policies
