// Wraps yaml-cpp's event parser: its exceptions end here. Anchors, aliases and tags are refused, as
// a policy needs none and each has been a bomb or a way to run code somewhere.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "policies/text.h"
#include "policies/tree.h"

namespace moat::policies {
namespace {

struct Refused {};  // thrown through yaml-cpp, which offers no other way to stop

Mark mark_from(const YAML::Mark& mark) {
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

class Handler : public YAML::EventHandler {
 public:
  Handler(std::string_view text, TreeBuilder& builder) : text_(text), builder_(builder) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "?", anchor);
    need(builder_.null(mark_from(mark)));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    need(builder_.refuse(mark_from(mark), "aliases (*name) are not supported; repeat the value"));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    const bool quoted = tag == "!";
    if (quoted && !closed(static_cast<std::size_t>(mark.pos)))
      need(builder_.refuse(mark_from(mark), "a quote is opened here and never closed"));
    const bool none = !quoted && (value == "~" || value == "null");
    need(none ? builder_.null(mark_from(mark)) : builder_.scalar(mark_from(mark), value, quoted));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    need(builder_.begin(Node::Kind::List, mark_from(mark)));
  }
  void OnSequenceEnd() override { need(builder_.end()); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    need(builder_.begin(Node::Kind::Map, mark_from(mark)));
  }
  void OnMapEnd() override { need(builder_.end()); }

 private:
  static void need(bool ok) {
    if (!ok) throw Refused{};
  }
  // yaml-cpp takes the end of the text for the closing quote: all that follows a forgotten one
  // would silently be part of a value.
  [[nodiscard]] bool closed(std::size_t at) const {
    const char quote = at < text_.size() ? text_[at] : '\0';
    if (quote != '"' && quote != '\'') return true;  // a block
    for (++at; at < text_.size(); ++at) {
      if (quote == '"' && text_[at] == '\\')
        ++at;
      else if (text_[at] == quote && (quote == '"' || text_.substr(at + 1, 1) != "'"))
        return true;
      else if (text_[at] == quote)
        ++at;
    }
    return false;
  }
  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0)
      need(builder_.refuse(mark_from(mark), "anchors (&name) are not supported; repeat the value"));
    if (!tag.empty() && tag != "?" && tag != "!")
      need(builder_.refuse(mark_from(mark),
                           fmt::format("tags ({}) are not supported", printable(tag))));
  }
  std::string_view text_;
  TreeBuilder& builder_;
};

// yaml-cpp scans a list to its end before it tells of its beginning, so that the builder's bound
// would come late. Every value of a list or a mapping in short form costs one of these characters.
bool too_dense(std::string_view text) {
  const auto dense = [](char c) { return c == '[' || c == '{' || c == ','; };
  return static_cast<std::size_t>(std::ranges::count_if(text, dense)) > kMaxPolicyNodes;
}

std::string_view line_of(std::string_view text, std::size_t line) {
  while (--line > 0 && !text.empty())
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find('\n'));
}

std::string explain(std::string_view text, Mark mark, const std::string& problem) {
  const std::string_view line = line_of(text, mark.line);
  const std::size_t indent = std::min(line.find_first_not_of(" \t"), line.size());
  const bool tab = line.substr(0, indent).find('\t') != std::string_view::npos;
  return fmt::format("not YAML: {}{}", problem, tab ? "; indent with spaces, not with tabs" : "");
}

}  // namespace

Reading read_yaml(std::string_view text, TreeBuilder& builder) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (too_dense(text)) {
    builder.refuse({}, fmt::format("more than {} values", kMaxPolicyNodes));
    return Reading::Refused;
  }
  Handler handler(text, builder);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
    }
    std::erase_if(builder.roots(), [](const Node& root) { return root.kind == Node::Kind::Null; });
    return Reading::Good;
  } catch (const Refused&) {
    return Reading::Refused;
  } catch (const YAML::Exception& e) {
    const Mark mark = mark_from(e.mark);
    builder.refuse(mark, explain(text, mark, e.msg));
    return Reading::Refused;
  }
}

}  // namespace moat::policies
