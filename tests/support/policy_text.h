// Policy texts for tests and what the parser says to wrong ones.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policies/document.h"

namespace moat::test {

// Lines 1 to 4 of a document, so that what a row adds begins at line 5.
inline std::string with_spec(const std::string& lines) {
  return "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n" +
         lines;
}

inline std::string error_of(const std::string& text) {
  const auto document = policies::parse_document(text, "p.yaml");
  return document ? "no error" : document.error().what;
}

struct Bad {
  std::string text;
  std::string error;  // the whole message, or its beginning when it ends with "…"
};

inline void expect_errors(const std::vector<Bad>& rows) {
  for (const Bad& row : rows) {
    const std::string error = error_of(row.text);
    if (row.error.ends_with("…"))
      EXPECT_TRUE(error.starts_with(row.error.substr(0, row.error.size() - 3)))
          << row.text << "\n got: " << error << "\nwant: " << row.error;
    else
      EXPECT_EQ(error, row.error) << row.text;
  }
}

}  // namespace moat::test
