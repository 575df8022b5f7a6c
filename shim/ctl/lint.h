// What is wrong, or worth knowing, about a policy text. Pure; the command around it is in
// policy_lint.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moat::shim::ctl {

enum class Severity : std::uint8_t { Error, Note };
std::string_view to_string(Severity severity);

struct Finding {
  Severity severity = Severity::Error;
  std::size_t line = 0, column = 0;  // from 1; 0: the text as a whole
  std::string message;
};

// Parses, composes with the built-in profiles, and binds to an example container. In the order of
// the text.
std::vector<Finding> lint(std::string_view text);

}  // namespace moat::shim::ctl
