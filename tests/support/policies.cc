#include "tests/support/policies.h"

#include <cstdio>
#include <cstdlib>

namespace moat::test {
namespace {

using policies::Document;
using policies::Policy;

template <class T>
T good(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "test policy: %s\n", result.error().what.c_str());
  std::abort();
}

Policy bound(const Document& document) {
  policies::Bindings bindings;
  bindings.home = "/root";
  bindings.cwd = "/srv";
  return good(Policy::bind(document, bindings));
}

// A document that says the same in every phase.
std::string in_every_phase(const std::string& boundary, const std::string& spec = "") {
  std::string text =
      "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: same}\nspec:\n" +
      spec + "  phases:\n";
  for (policies::Phase phase : policies::kPhases)
    text += "    " + std::string(to_string(phase)) + ": " + boundary + "\n";
  return text;
}

}  // namespace

Policy policy_from(const std::string& yaml) {
  return bound(good(policies::compose(good(policies::parse_document(yaml, "test")))));
}

Policy builtin_policy(const std::string& name) {
  return bound(good(policies::builtin_document(name)));
}

Policy open_policy() {
  return policy_from(in_every_phase(
      "{filesystem: {read: [\"/**\"], modify: [\"/**\"], exec: [\"/**\"]}, "
      "device: {access: [\"/**\"]}, network: {access: [\"*\"]}, "
      "process: {create: true, thread: true, exec: [\"/**\"], cross: true, context: true}, "
      "system: {info: true, control: true}}"));
}

Policy closed_policy() {
  return policy_with("");
}

Policy policy_with(const std::string& spec) {
  return policy_from(in_every_phase(
      "{filesystem: {read: [], modify: [], exec: []}, device: {access: []}, "
      "network: {access: []}, "
      "process: {create: false, thread: false, exec: [], cross: false, context: false}, "
      "system: {info: false, control: false}}",
      spec));
}

}  // namespace moat::test
