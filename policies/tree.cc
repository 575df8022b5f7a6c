#include "policies/tree.h"

#include <fmt/format.h>

#include "policies/text.h"

namespace moat::policies {
namespace {

Mark mark_of(std::string_view text, std::size_t offset) {
  Mark mark;
  for (char c : text.substr(0, offset)) {
    ++mark.column;
    if (c != '\n') continue;
    ++mark.line;
    mark.column = 1;
  }
  return mark;
}

Status check_bytes(std::string_view text, std::string_view source) {
  if (text.size() > kMaxPolicyBytes)
    return fail(Code::ResourceExhausted, fmt::format("{}: {} bytes; a policy has at most {}",
                                                     source, text.size(), kMaxPolicyBytes));
  const auto refuse = [&](std::size_t at, std::string_view what) {
    const Mark mark = mark_of(text, at);
    return fail(Code::InvalidArgument,
                fmt::format("{}:{}:{}: {}", source, mark.line, mark.column, what));
  };
  if (const auto bad = find_invalid_utf8(text)) return refuse(*bad, "not UTF-8");
  if (const auto nul = text.find('\0'); nul != std::string_view::npos)
    return refuse(nul, "a NUL character");
  return {};
}

}  // namespace

bool TreeBuilder::refuse(Mark mark, std::string what) {
  fault_ = {mark, std::move(what)};
  return false;
}

bool TreeBuilder::count(Mark mark) {
  if (++nodes_ <= kMaxPolicyNodes) return true;
  return refuse(mark, fmt::format("more than {} values", kMaxPolicyNodes));
}

bool TreeBuilder::take_key(Open& map, Mark mark, std::string_view text) {
  if (!map.keys.emplace(text).second)
    return refuse(mark, fmt::format("duplicate key '{}'", printable(text)));
  map.has_key = true;
  map.key = text;
  map.key_mark = mark;
  return true;
}

bool TreeBuilder::put(Node node) {
  if (open_.empty()) {
    roots_.push_back(std::move(node));
    if (roots_.size() <= kMaxPolicyDocuments) return true;
    return refuse(roots_.back().mark, fmt::format("more than {} documents", kMaxPolicyDocuments));
  }
  Open& parent = open_.back();
  if (parent.node.kind == Node::Kind::Map) {
    node.key = std::move(parent.key);
    node.key_mark = parent.key_mark;
    // A value that is not there has no place of its own.
    if (node.kind == Node::Kind::Null) node.mark = node.key_mark;
    parent.has_key = false;
  }
  parent.node.items.push_back(std::move(node));
  return true;
}

bool TreeBuilder::null(Mark mark) {
  if (!count(mark)) return false;
  if (!open_.empty() && open_.back().node.kind == Node::Kind::Map && !open_.back().has_key)
    return refuse(mark, "a key is missing before ':'");
  Node node;
  node.mark = mark;
  return put(std::move(node));
}

bool TreeBuilder::scalar(Mark mark, std::string_view text, bool quoted) {
  if (!count(mark)) return false;
  if (!open_.empty() && open_.back().node.kind == Node::Kind::Map && !open_.back().has_key)
    return take_key(open_.back(), mark, text);
  Node node;
  node.kind = Node::Kind::Scalar;
  node.mark = mark;
  node.text = text;
  node.quoted = quoted;
  return put(std::move(node));
}

bool TreeBuilder::begin(Node::Kind kind, Mark mark) {
  if (!count(mark)) return false;
  if (open_.size() >= kMaxPolicyDepth)
    return refuse(mark, fmt::format("nested deeper than {} levels", kMaxPolicyDepth));
  if (!open_.empty() && open_.back().node.kind == Node::Kind::Map && !open_.back().has_key)
    return refuse(mark, "a key must be a word, not a list or a mapping");
  Open open;
  open.node.kind = kind;
  open.node.mark = mark;
  open_.push_back(std::move(open));
  return true;
}

bool TreeBuilder::end() {
  Node node = std::move(open_.back().node);
  open_.pop_back();
  return put(std::move(node));
}

// JSON is read as such, for its escapes (surrogate pairs) and its tabs. What begins like it may
// still be a mapping in YAML's short form, unless its first key has quotes too.
Result<std::vector<Node>> read_trees(std::string_view text, std::string_view source) {
  if (auto ok = check_bytes(text, source); !ok) return fail(std::move(ok.error()));
  TreeBuilder builder;
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  const bool braces = start != std::string_view::npos && text[start] == '{';
  Reading reading = braces ? read_json(text, builder) : Reading::OtherSyntax;
  if (reading == Reading::OtherSyntax) {
    TreeBuilder again;
    reading = read_yaml(text, again);
    const std::size_t key = braces ? text.find_first_not_of(" \t\r\n", start + 1) : start;
    const bool looks_json = braces && key != std::string_view::npos && text[key] == '"';
    if (reading == Reading::Good || !looks_json) builder = std::move(again);
  }
  if (reading == Reading::Good) return std::move(builder.roots());
  const Fault& fault = builder.fault();
  return fail(Code::InvalidArgument,
              fmt::format("{}:{}:{}: {}", source, fault.mark.line, fault.mark.column, fault.what));
}

}  // namespace moat::policies
