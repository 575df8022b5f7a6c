#include "shim/cgroups/stat_text.h"

#include <algorithm>
#include <charconv>

namespace moat::shim {

namespace {

constexpr std::string_view kBlank = " \t\n\r";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  text = trim(text);
  if (text == "max") return kNoLimit;
  if (text.starts_with('-')) return is_digits(text.substr(1)) ? std::optional(0UL) : std::nullopt;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return {};
  return value;
}

std::vector<std::string_view> split_words(std::string_view line, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(separators)));
    if (line.empty()) return words;
    words.push_back(line.substr(0, line.find_first_of(separators)));
    line.remove_prefix(words.back().size());
  }
}

std::vector<std::string_view> split_lines(std::string_view text) {
  return split_words(text, "\n");
}

void each_pair(std::string_view text,
               const std::function<void(std::string_view key, std::uint64_t value)>& take) {
  for (const std::string_view line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() != 2) continue;
    if (const auto value = parse_number(words[1])) take(words[0], *value);
  }
}

std::uint64_t value_of(std::string_view text, std::string_view key) {
  std::uint64_t found = 0;
  each_pair(text, [&](std::string_view name, std::uint64_t value) {
    if (name == key) found = value;
  });
  return found;
}

std::optional<std::string> page_size_of(std::string_view folder) {
  constexpr std::string_view kPrefix = "hugepages-", kSuffix = "kB";
  if (!folder.starts_with(kPrefix) || !folder.ends_with(kSuffix)) return {};
  folder.remove_prefix(kPrefix.size());
  folder.remove_suffix(kSuffix.size());
  const auto kilobytes = parse_number(folder);
  if (!kilobytes || *kilobytes == kNoLimit) return {};
  if (*kilobytes >= 1U << 20) return std::to_string(*kilobytes >> 20) + "GB";
  if (*kilobytes >= 1U << 10) return std::to_string(*kilobytes >> 10) + "MB";
  return std::to_string(*kilobytes) + "KB";
}

std::optional<RdmaLine> parse_rdma(std::string_view line) {
  const auto words = split_words(line);
  if (words.size() != 3) return {};
  RdmaLine parsed{words[0]};
  bool known = false;
  for (const std::string_view word : {words[1], words[2]}) {
    const std::size_t equals = std::min(word.size(), word.find('='));
    const auto value = parse_number(word.substr(std::min(word.size(), equals + 1)));
    if (!value || (*value > UINT32_MAX && *value != kNoLimit)) continue;
    const auto number = static_cast<std::uint32_t>(*value);
    const std::string_view key = word.substr(0, equals);
    if (key == "hca_handle") parsed.handles = number;
    if (key == "hca_object") parsed.objects = number;
    known |= key == "hca_handle" || key == "hca_object";
  }
  return known ? std::optional(parsed) : std::nullopt;
}

}  // namespace moat::shim
