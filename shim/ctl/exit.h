// How moatctl ends, and how it speaks. Programs branch on the numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policies/result.h"

namespace moat::shim::ctl {

enum class Exit : int { Fine = 0, Findings = 1, Usage = 2, Failure = 3 };

enum class Format : std::uint8_t { Text, Json };

// To standard output. A reader that has left is the signal's business (SIGPIPE).
Status print(std::string_view text);

// One line on standard error, "moatctl: …". Safe for a terminal.
void warn(std::string_view what);

}  // namespace moat::shim::ctl
