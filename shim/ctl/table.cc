#include "shim/ctl/table.h"

#include <algorithm>

#include "policies/text.h"

namespace moat::shim::ctl {

namespace {

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string cell(std::string_view text) {
  return text.empty() ? "-" : policies::printable(text, kMaxCell);
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t used = characters(text);
  if (used < width) text.append(width - used, ' ');
  return text;
}

void Table::add(Row row) {
  for (std::string& text : row) text = cell(text);
  row.resize(header_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    std::size_t width = characters(header_[i]);
    for (const Row& row : rows_) width = std::max(width, characters(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto write = [&](const Row& row) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) out += padded(row[i], widths[i]) + "  ";
    out += row.back() + "\n";
  };
  write(header_);
  for (const Row& row : rows_) write(row);
  return out;
}

}  // namespace moat::shim::ctl
