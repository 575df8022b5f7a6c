#include "oci/container_path.h"

#include <algorithm>

#include "policies/text.h"

namespace moat::oci {

Result<std::string> clean_path(std::string_view path) {
  if (path.empty()) return fail(Code::InvalidArgument, "is empty");
  if (path.front() != '/') return fail(Code::InvalidArgument, "is not absolute");
  if (path.size() > kMaxPath) return fail(Code::InvalidArgument, "is longer than 4095 bytes");
  if (!is_plain(path)) return fail(Code::InvalidArgument, "has characters a path must not have");
  std::string cleaned;
  for (const std::string& part : path_parts(path)) {
    if (part == "..") return fail(Code::InvalidArgument, "has a '..' in it");
    cleaned.append("/").append(part);
  }
  return cleaned.empty() ? std::string("/") : cleaned;
}

bool at_or_below(std::string_view path, std::string_view parent) {
  if (parent == "/") return path.starts_with('/');
  return path.starts_with(parent) && (path.size() == parent.size() || path[parent.size()] == '/');
}

bool below(std::string_view path, std::string_view parent) {
  return path != parent && at_or_below(path, parent);
}

std::string_view remainder(std::string_view path, std::string_view parent) {
  path.remove_prefix(std::min(parent.size(), path.size()));
  if (path.starts_with('/')) path.remove_prefix(1);
  return path;
}

std::vector<std::string> path_parts(std::string_view path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, slash - at);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    at = slash + 1;
  }
  return parts;
}

std::size_t depth(std::string_view path) {
  return path == "/" ? 0 : static_cast<std::size_t>(std::ranges::count(path, '/'));
}

bool is_plain(std::string_view text) {
  while (!text.empty()) {
    const policies::CodePoint point = policies::first_code_point(text);
    if (!point.valid || policies::is_control(point.value)) return false;
    text.remove_prefix(point.length);
  }
  return true;
}

}  // namespace moat::oci
