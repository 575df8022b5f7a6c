#include "shim/task/stdio_target.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace moat::shim {

namespace {

using Kind = StdioTarget::Kind;

// %XX, and in a query also + for a space.
Result<std::string> unescape(std::string_view text, bool query) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && query) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      unsigned value = 0;
      const char* const digits = text.data() + i + 1;
      if (i + 2 >= text.size() || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2)
        return fail(Code::InvalidArgument, "\"" + std::string(text) + "\" has a broken % escape");
      out.push_back(static_cast<char>(value));
      i += 2;
    }
  }
  return out;
}

// The first value of each key counts; a key may have none.
Status parse_query(std::string_view query, std::vector<std::string>& arguments) {
  std::vector<std::string> seen;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const bool has_value = equals != std::string_view::npos;
    auto key = unescape(pair.substr(0, equals), true);
    auto value = unescape(has_value ? pair.substr(equals + 1) : std::string_view(), true);
    if (!key) return fail(std::move(key.error()));
    if (!value) return fail(std::move(value.error()));
    if (std::ranges::find(seen, *key) != seen.end()) continue;
    seen.push_back(*key);
    arguments.insert(arguments.end(), {std::move(*key), std::move(*value)});
  }
  return {};
}

Result<StdioTarget> parse_binary(std::string_view rest, bool ready_byte) {
  StdioTarget target{Kind::Binary, "", {}, ready_byte};
  const std::size_t question = rest.find('?');
  auto path = unescape(rest.substr(0, question), false);
  if (!path) return fail(std::move(path.error()));
  target.path = std::move(*path);
  if (!target.path.starts_with('/'))
    return fail(Code::InvalidArgument,
                "logging binary \"" + target.path + "\" is not an absolute path");
  if (question == std::string_view::npos) return target;
  auto parsed = parse_query(rest.substr(question + 1), target.arguments);
  if (!parsed) return fail(std::move(parsed.error()));
  return target;
}

}  // namespace

Result<StdioTarget> parse_stdio_target(const std::string& uri) {
  if (uri.empty()) return StdioTarget{};
  const std::size_t colon = uri.find("://");
  if (colon == std::string::npos) return StdioTarget{Kind::Fifo, uri, {}, false};
  const std::string scheme = uri.substr(0, colon);
  const std::string_view rest = std::string_view(uri).substr(colon + 3);
  if (scheme == "fifo") return StdioTarget{Kind::Fifo, std::string(rest), {}, false};
  if (scheme == "file") return StdioTarget{Kind::File, std::string(rest), {}, false};
  if (scheme == "binary" || scheme == "binary-v2") return parse_binary(rest, scheme != "binary");
  return fail(Code::Unknown, "unknown STDIO scheme " + scheme);
}

}  // namespace moat::shim
