// Wraps yaml-cpp's event parser: its exceptions end here. Anchors, aliases and tags are refused, as
// a policy needs none and each has been a bomb or a way to run code somewhere.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

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
  explicit Handler(TreeBuilder& builder) : builder_(builder) {}

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
  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0)
      need(builder_.refuse(mark_from(mark), "anchors (&name) are not supported; repeat the value"));
    if (!tag.empty() && tag != "?" && tag != "!")
      need(builder_.refuse(mark_from(mark),
                           fmt::format("tags ({}) are not supported", printable(tag))));
  }
  TreeBuilder& builder_;
};

}  // namespace

bool read_yaml(std::string_view text, TreeBuilder& builder) {
  Handler handler(builder);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
    }
    std::erase_if(builder.roots(), [](const Node& root) { return root.kind == Node::Kind::Null; });
    return true;
  } catch (const Refused&) {
    return false;
  } catch (const YAML::Exception& e) {
    return builder.refuse(mark_from(e.mark), fmt::format("not YAML: {}", e.msg));
  }
}

}  // namespace moat::policies
