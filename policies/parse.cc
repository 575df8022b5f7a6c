// From a text to documents: what stands around `spec`.
#include "policies/parse.h"

#include <algorithm>

#include "policies/text.h"

namespace moat::policies {
namespace {

constexpr std::string_view kApiVersion = "moat.dev/v1alpha1";
constexpr std::string_view kKind = "LifecyclePolicy";
constexpr std::size_t kMaxName = 253;  // as Kubernetes' names

Status read_constant(const Field& field, std::string_view expected) {
  const auto text = field.text();
  if (!text) return fail(text.error());
  if (*text == expected) return {};
  return field.wrong(
      fmt::format("'{}' is not supported; it must be '{}'", printable(*text), expected));
}

Status read_name(const Field& field, Document& into) {
  auto name = field.text();
  if (!name) return fail(std::move(name.error()));
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._/").find(c) != std::string_view::npos;
  };
  if (name->size() > kMaxName || !std::ranges::all_of(*name, allowed))
    return field.wrong(fmt::format("'{}' is not a name: letters, digits and -._/, at most {}",
                                   printable(*name), kMaxName));
  into.name = std::move(*name);
  return {};
}

// Labels and annotations are for other tools; here they only have to be texts.
Status read_texts_by_key(const Field& field, Document&) {
  if (auto ok = field.need(Node::Kind::Map, "a mapping of texts"); !ok) return ok;
  for (const Node& child : field.node().items) {
    const Field member = field.member(child);
    if (auto ok = member.need(Node::Kind::Scalar, "a text"); !ok) return ok;
  }
  return {};
}

constexpr std::array kMetadata{
    Key<Document>{"name", read_name},
    Key<Document>{"labels", read_texts_by_key},
    Key<Document>{"annotations", read_texts_by_key},
};

constexpr std::array kDocument{
    Key<Document>{"apiVersion",
                  [](const Field& f, Document&) { return read_constant(f, kApiVersion); }},
    Key<Document>{"kind", [](const Field& f, Document&) { return read_constant(f, kKind); }},
    Key<Document>{"metadata", read_metadata},
    Key<Document>{"spec", read_spec},
};

Result<Document> read_document(const Field& field) {
  Document document;
  if (auto ok = read_keys(field, kDocument, document); !ok) return fail(std::move(ok.error()));
  for (const Key<Document>& key : kDocument)
    if (field.find(key.name) == nullptr)
      return field.wrong(fmt::format("'{}' is missing", key.name));
  return document;
}

}  // namespace

Status read_metadata(const Field& field, Document& into) {
  if (auto ok = read_keys(field, kMetadata, into); !ok) return ok;
  if (into.name.empty()) return field.wrong("'name' is missing");
  return {};
}

Result<Phase> read_phase(const Field& parent, const Node& child) {
  if (const auto phase = phase_from(child.key)) return *phase;
  std::array<std::string_view, kPhases.size()> names{};
  std::ranges::transform(kPhases, names.begin(), [](Phase phase) { return to_string(phase); });
  return parent.wrong_key(child, names);
}

Result<std::vector<Document>> parse_all(std::string_view text, std::string_view source) {
  const auto trees = read_trees(text, source);
  if (!trees) return fail(trees.error());
  std::vector<Document> documents;
  for (const Node& tree : *trees) {
    auto document = read_document(Field(tree, "", source));
    if (!document) return fail(std::move(document.error()));
    documents.push_back(std::move(*document));
  }
  if (documents.empty())
    return fail(Code::InvalidArgument, fmt::format("{}:1:1: no policy in the text", source));
  return documents;
}

Result<Document> parse_document(std::string_view text, std::string_view source) {
  auto documents = parse_all(text, source);
  if (!documents) return fail(std::move(documents.error()));
  if (documents->size() > 1)
    return fail(Code::InvalidArgument,
                fmt::format("{}: {} documents where one is expected", source, documents->size()));
  return std::move(documents->front());
}

}  // namespace moat::policies
