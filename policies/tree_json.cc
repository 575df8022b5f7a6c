// Wraps RapidJSON's reader and gives its events the positions it does not report.
#include <fmt/format.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include "policies/tree.h"

namespace moat::policies {
namespace {

// Events come after their token was read, so its start is found by going back from its end.
class Handler {
 public:
  Handler(std::string_view text, const rapidjson::MemoryStream& stream, TreeBuilder& builder)
      : text_(text), stream_(stream), builder_(builder) {}

  bool Null() { return builder_.null(word_start()); }
  bool Bool(bool value) { return builder_.scalar(word_start(), value ? "true" : "false", false); }
  bool RawNumber(const char* digits, rapidjson::SizeType length, bool) {
    return builder_.scalar(word_start(), {digits, length}, false);
  }
  bool String(const char* value, rapidjson::SizeType length, bool) {
    return builder_.scalar(string_start(), {value, length}, true);
  }
  bool Key(const char* value, rapidjson::SizeType length, bool copy) {
    return String(value, length, copy);
  }
  bool StartObject() { return builder_.begin(Node::Kind::Map, at(stream_.Tell() - 1)); }
  bool EndObject(rapidjson::SizeType) { return builder_.end(); }
  bool StartArray() { return builder_.begin(Node::Kind::List, at(stream_.Tell() - 1)); }
  bool EndArray(rapidjson::SizeType) { return builder_.end(); }
  // With kParseNumbersAsStringsFlag these are never called; the reader's template names them.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }

  // Offsets grow, so lines are counted once; only that of an error may lie before.
  Mark at(std::size_t offset) {
    if (offset < seen_) {
      seen_ = line_start_ = 0;
      line_ = 1;
    }
    for (; seen_ < offset && seen_ < text_.size(); ++seen_) {
      if (text_[seen_] != '\n') continue;
      ++line_;
      line_start_ = seen_ + 1;
    }
    return {line_, offset - line_start_ + 1};
  }

 private:
  Mark word_start() {
    std::size_t start = stream_.Tell();
    while (start > 0 &&
           std::string_view(" \t\r\n,:[{").find(text_[start - 1]) == std::string_view::npos)
      --start;
    return at(start);
  }
  // Inside a string every quote is escaped; the opening one has no backslash before it.
  Mark string_start() {
    std::size_t start = stream_.Tell() - 1;
    do {
      start = text_.rfind('"', start - 1);
    } while (start > 0 && text_[start - 1] == '\\');
    return at(start);
  }

  std::string_view text_;
  const rapidjson::MemoryStream& stream_;
  TreeBuilder& builder_;
  std::size_t seen_ = 0, line_ = 1, line_start_ = 0;
};

}  // namespace

Reading read_json(std::string_view text, TreeBuilder& builder) {
  rapidjson::MemoryStream stream(text.data(), text.size());
  Handler handler(text, stream, builder);
  rapidjson::Reader reader;
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, handler);
  if (!result.IsError()) return Reading::Good;
  if (result.Code() == rapidjson::kParseErrorTermination) return Reading::Refused;
  builder.refuse(handler.at(result.Offset()),
                 fmt::format("not JSON: {}", rapidjson::GetParseError_En(result.Code())));
  return Reading::OtherSyntax;
}

}  // namespace moat::policies
