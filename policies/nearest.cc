#include "policies/nearest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "policies/text.h"

namespace moat::policies {
namespace {

// Longer words are no slip of a key's name, and the distance costs length squared.
constexpr std::size_t kMaxWord = 64;

// Edits between two words, a swap of neighbours counting one (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kMaxWord + 1>;
  Row before{}, above{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = above;
    above = row;
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view word, Words words) {
  if (word.empty() || word.size() > kMaxWord) return std::nullopt;
  const std::string given = lower(word);
  std::optional<std::string_view> best;
  std::size_t least = std::max<std::size_t>(1, (word.size() + 1) / 3) + 1;
  for (std::string_view candidate : words) {
    if (candidate.empty() || candidate.size() > kMaxWord) continue;
    const std::size_t edits = distance(given, lower(candidate));
    if (edits >= least) continue;
    least = edits;
    best = candidate;
  }
  return best;
}

std::string suggest(std::string_view word, Words words) {
  if (const auto meant = nearest(word, words)) return fmt::format("; did you mean '{}'?", *meant);
  if (words.empty()) return "";
  return fmt::format("; valid: {}", fmt::join(words, ", "));
}

std::string not_one_of(std::string_view word, Words words) {
  std::string text = fmt::format("'{}' is not one of {}", printable(word), fmt::join(words, ", "));
  if (const auto meant = nearest(word, words)) text += fmt::format("; did you mean '{}'?", *meant);
  return text;
}

}  // namespace moat::policies
