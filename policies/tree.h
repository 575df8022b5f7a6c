// A policy text as a tree with positions, before anything is known of its meaning. YAML and JSON
// both end here, under the same bounds.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::policies {

// yaml-cpp reads about 4 MB a second: a hostile text must not hold up the start of a pod.
inline constexpr std::size_t kMaxPolicyBytes = 256U << 10;
inline constexpr std::size_t kMaxPolicyNodes = 20'000;  // a node costs about 200 bytes
inline constexpr std::size_t kMaxPolicyDepth = 16;      // the language needs 6
inline constexpr std::size_t kMaxPolicyDocuments = 64;

struct Mark {
  std::size_t line = 1, column = 1;  // from 1; columns count bytes in JSON, characters in YAML
};

struct Node {
  enum class Kind { Null, Scalar, List, Map };
  Kind kind = Kind::Null;
  Mark mark;
  std::string text;     // Scalar
  bool quoted = false;  // Scalar: "true" is a text, true is a switch
  std::string key;      // when it is a member of a Map
  Mark key_mark;
  std::vector<Node> items;  // List, Map
};

struct Fault {
  Mark mark;
  std::string what;
};

// Builds a tree from a reader's events. Each call returns false when the text must be refused;
// `fault` then says why.
class TreeBuilder {
 public:
  bool null(Mark mark);
  bool scalar(Mark mark, std::string_view text, bool quoted);
  bool begin(Node::Kind kind, Mark mark);
  bool end();
  bool refuse(Mark mark, std::string what);  // always false

  [[nodiscard]] const Fault& fault() const { return fault_; }
  std::vector<Node>& roots() { return roots_; }

 private:
  struct Open {
    Node node;
    bool has_key = false;  // of a Map: the next event is the value of `key`
    std::string key;
    Mark key_mark;
    std::set<std::string, std::less<>> keys;
  };
  bool count(Mark mark);
  bool take_key(Open& map, Mark mark, std::string_view text);
  bool put(Node node);

  std::vector<Open> open_;
  std::vector<Node> roots_;
  std::size_t nodes_ = 0;
  Fault fault_;
};

// One tree for each document in `text`; empty documents are left out. `source` begins the error:
// "policy.yaml:3:1: duplicate key 'spec'".
Result<std::vector<Node>> read_trees(std::string_view text, std::string_view source);

// The two readers. `Refused`: by the builder or by the language, see the builder's fault.
// `OtherSyntax`: so too, but the text may be of the other kind.
enum class Reading { Good, Refused, OtherSyntax };
Reading read_yaml(std::string_view text, TreeBuilder& builder);
Reading read_json(std::string_view text, TreeBuilder& builder);

}  // namespace moat::policies
