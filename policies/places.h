// One container's places, and what a line of a set or of a document means in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/policy.h"

namespace moat::policies {

class Places {
 public:
  // The models and scratch places of a document together with those of its container. Relative
  // paths and the root folder are errors.
  static Result<Places> of(const Document& document, const Bindings& bindings);

  [[nodiscard]] const std::vector<std::string>& models() const { return models_; }
  [[nodiscard]] const std::vector<std::string>& scratch() const { return scratch_; }

  [[nodiscard]] std::string absolute(std::string_view path) const;  // "~/a" with the home

  // Adds what one line of a named set (sets.h) stands for here.
  void add_line(std::string_view line, PathSet& into) const;

 private:
  explicit Places(const Bindings& bindings);
  [[nodiscard]] Status add(std::vector<std::string>& into,
                           const std::vector<std::string>& declared) const;
  void add_tree(const std::string& root, std::string_view rest, PathSet& into) const;

  std::string home_;
  std::vector<std::string> cwd_, environment_, models_, scratch_;
};

}  // namespace moat::policies
