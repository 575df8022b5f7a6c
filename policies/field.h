// One value of a document together with the keys that lead to it: what the parse functions read,
// and where their errors get place and path from.
#pragma once

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "policies/nearest.h"
#include "policies/tree.h"

namespace moat::policies {

class Field {
 public:
  // `source` and `node` outlive the field.
  Field(const Node& node, std::string path, std::string_view source)
      : node_(&node), path_(std::move(path)), source_(source) {}

  [[nodiscard]] const Node& node() const { return *node_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string_view key() const { return node_->key; }
  [[nodiscard]] bool is(Node::Kind kind) const { return node_->kind == kind; }

  // A member's path gets its key, an item's its index.
  [[nodiscard]] Field member(const Node& child) const;
  [[nodiscard]] Field item(std::size_t index) const;
  [[nodiscard]] const Node* find(std::string_view key) const;

  // "policy.yaml:12:7: spec.mode: …", at the value or at its key.
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what) const;
  [[nodiscard]] tl::unexpected<Error> wrong_key(const Node& child, Words valid) const;

  [[nodiscard]] Status need(Node::Kind kind, std::string_view expected) const;
  [[nodiscard]] Result<std::string> text() const;  // not empty
  [[nodiscard]] Result<std::vector<std::string>> texts() const;
  [[nodiscard]] Result<bool> flag() const;
  [[nodiscard]] Result<std::chrono::milliseconds> duration() const;  // "2s"
  [[nodiscard]] Result<std::uint16_t> port() const;

 private:
  const Node* node_;
  std::string path_;
  std::string_view source_;
};

// One key of a mapping and what reads its value into a T.
template <class T>
struct Key {
  std::string_view name;
  Status (*read)(const Field& value, T& into);
};

// Reads a mapping by its table of keys; a key that is not in the table is an error.
template <class T, std::size_t N>
Status read_keys(const Field& map, const std::array<Key<T>, N>& keys, T& into) {
  if (auto ok = map.need(Node::Kind::Map, "a mapping"); !ok) return ok;
  for (const Node& child : map.node().items) {
    const Key<T>* known = nullptr;
    for (const Key<T>& key : keys)
      if (key.name == child.key) known = &key;
    if (known == nullptr) {
      std::array<std::string_view, N> names{};
      for (std::size_t i = 0; i < N; ++i) names[i] = keys[i].name;
      return map.wrong_key(child, names);
    }
    if (auto ok = known->read(map.member(child), into); !ok) return ok;
  }
  return {};
}

}  // namespace moat::policies
