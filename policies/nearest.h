// The word somebody probably meant. For error messages about keys, values and names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace moat::policies {

using Words = std::span<const std::string_view>;

// The closest of `words`, if it is close enough to be a slip: letters changed, missing, extra or
// swapped. The first of equally close ones.
std::optional<std::string_view> nearest(std::string_view word, Words words);

// "; did you mean 'load'?" or, when nothing is near, "; valid: init, load, serve".
std::string suggest(std::string_view word, Words words);

// "'enforced' is not one of off, audit, enforce; did you mean 'enforce'?"
std::string not_one_of(std::string_view word, Words words);

}  // namespace moat::policies
