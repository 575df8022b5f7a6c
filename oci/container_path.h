// Paths as seen inside a container, as text: nothing here asks the disk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::oci {

inline constexpr std::size_t kMaxPath = 4095;  // the kernel's PATH_MAX without the NUL

// Absolute and without "..": "/a//b/" becomes "/a/b". The error is a phrase that follows the
// quoted path: "is not absolute".
Result<std::string> clean_path(std::string_view path);

// "/a/b" lies at or below "/a" and "/a/b", not below "/a/bc". Both cleaned.
bool at_or_below(std::string_view path, std::string_view parent);
bool below(std::string_view path, std::string_view parent);

// What is left of `path` under `parent`, without a leading slash; at_or_below() must hold.
std::string_view remainder(std::string_view path, std::string_view parent);

std::vector<std::string> path_parts(std::string_view path);  // without "" and "."; ".." stays

std::size_t depth(std::string_view path);  // "/" is 0, "/a/b" is 2

// Valid UTF-8 without anything a terminal would act upon or hide.
bool is_plain(std::string_view text);

}  // namespace moat::oci
