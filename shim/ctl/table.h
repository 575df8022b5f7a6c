// Aligned columns for people. Every cell may hold a stranger's text: it is made safe here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moat::shim::ctl {

inline constexpr std::size_t kMaxCell = 200;  // longer text is cut, and shows that it was

// What a cell shows: no control characters; "-" when there is nothing to say.
std::string cell(std::string_view text);

// `text` and spaces up to `width` characters as a terminal counts them, wide scripts aside.
std::string padded(std::string text, std::size_t width);

class Table {
 public:
  using Row = std::vector<std::string>;

  explicit Table(Row header) : header_(std::move(header)) {}
  void add(Row row);  // as many cells as the header has
  [[nodiscard]] std::string text() const;

 private:
  Row header_;
  std::vector<Row> rows_;
};

}  // namespace moat::shim::ctl
