#include "policies/field.h"

#include <charconv>

#include "policies/text.h"

namespace moat::policies {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMaxDuration = std::chrono::hours(24);

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array kUnits{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                            Unit{"h", 3'600'000}};

std::string_view kind_name(const Node& node) {
  switch (node.kind) {
    case Node::Kind::Null:
      return "nothing";
    case Node::Kind::Scalar:
      return "a word";
    case Node::Kind::List:
      return "a list";
    case Node::Kind::Map:
      return "a mapping";
  }
  return "?";
}

// Reads all of `text` as a decimal number.
template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Field Field::member(const Node& child) const {
  const std::string key = printable(child.key, 64);
  return {child, path_.empty() ? key : path_ + "." + key, source_};
}

Field Field::item(std::size_t index) const {
  return {node_->items[index], fmt::format("{}[{}]", path_, index), source_};
}

const Node* Field::find(std::string_view key) const {
  for (const Node& child : node_->items)
    if (child.key == key) return &child;
  return nullptr;
}

tl::unexpected<Error> Field::wrong(std::string_view what) const {
  const std::string place = path_.empty() ? "" : path_ + ": ";
  return fail(Code::InvalidArgument, fmt::format("{}:{}:{}: {}{}", source_, node_->mark.line,
                                                 node_->mark.column, place, what));
}

tl::unexpected<Error> Field::wrong_key(const Node& child, Words valid) const {
  const std::string place = path_.empty() ? "" : path_ + ": ";
  return fail(Code::InvalidArgument, fmt::format("{}:{}:{}: {}unknown key '{}'{}", source_,
                                                 child.key_mark.line, child.key_mark.column, place,
                                                 printable(child.key), suggest(child.key, valid)));
}

Status Field::need(Node::Kind kind, std::string_view expected) const {
  if (node_->kind == kind) return {};
  if (node_->kind == Node::Kind::Scalar)
    return wrong(fmt::format("expected {}, not '{}'", expected, printable(node_->text)));
  return wrong(fmt::format("expected {}, not {}", expected, kind_name(*node_)));
}

Result<std::string> Field::text() const {
  if (auto ok = need(Node::Kind::Scalar, "a word"); !ok) return fail(std::move(ok.error()));
  if (node_->text.empty()) return wrong("must not be empty");
  return node_->text;
}

Result<std::vector<std::string>> Field::texts() const {
  if (auto ok = need(Node::Kind::List, "a list"); !ok) return fail(std::move(ok.error()));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < node_->items.size(); ++i) {
    auto text = item(i).text();
    if (!text) return fail(std::move(text.error()));
    out.push_back(std::move(*text));
  }
  return out;
}

Result<bool> Field::flag() const {
  constexpr std::string_view kExpected = "true or false";
  if (auto ok = need(Node::Kind::Scalar, kExpected); !ok) return fail(std::move(ok.error()));
  if (node_->quoted || (node_->text != "true" && node_->text != "false"))
    return wrong(fmt::format("expected true or false, not {0}{1}{0}", node_->quoted ? "\"" : "'",
                             printable(node_->text)));
  return node_->text == "true";
}

Result<milliseconds> Field::duration() const {
  constexpr std::string_view kExpected = "a duration such as 500ms, 2s, 30m or 1h";
  if (auto ok = need(Node::Kind::Scalar, kExpected); !ok) return fail(std::move(ok.error()));
  const std::string_view text = node_->text;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = number<std::int64_t>(text.substr(0, digits));
  for (const Unit& unit : kUnits) {
    if (!count || text.substr(digits) != unit.name) continue;
    if (*count > kMaxDuration.count() / unit.ms) return wrong("longer than 24h");
    return milliseconds(*count * unit.ms);
  }
  if (count && digits == text.size())
    return wrong(
        fmt::format("'{}' has no unit; write {}ms, {}s, {}m or {}h", text, text, text, text, text));
  return wrong(fmt::format("expected {}, not '{}'", kExpected, printable(text)));
}

Result<std::uint16_t> Field::port() const {
  constexpr std::string_view kExpected = "a port from 1 to 65535";
  if (auto ok = need(Node::Kind::Scalar, kExpected); !ok) return fail(std::move(ok.error()));
  const auto value = number<std::uint16_t>(node_->text);
  if (!value || *value == 0 || node_->quoted)
    return wrong(fmt::format("expected {}, not '{}'", kExpected, printable(node_->text)));
  return *value;
}

}  // namespace moat::policies
