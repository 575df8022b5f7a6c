#include "policies/unix_name.h"

#include <fmt/format.h>

#include <algorithm>

#include "policies/objects.h"

namespace moat::policies {
namespace {

constexpr std::string_view kBelow = "/**";

bool at_or_below(std::string_view path, std::string_view folder) {
  return path == folder || folder.empty() ||
         (path.starts_with(folder) && path[folder.size()] == '/');
}

// A path that the kernel would follow elsewhere than it reads.
bool is_straight(std::string_view path) {
  if (!path.starts_with('/')) return false;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

bool UnixRule::covers(std::string_view sun_path) const {
  if (abstract()) return sun_path == name;
  const std::string_view path = sun_path.substr(0, sun_path.find('\0'));
  if (!below) return path == name;
  return is_straight(path) && at_or_below(path, name);
}

std::optional<UnixRule> unix_rule(std::string_view text) {
  UnixRule rule;
  if (text.starts_with('@')) {
    rule.name = std::string(1, '\0') + std::string(text.substr(1));
    if (rule.name.size() == 1 || rule.name.size() > kMaxUnixName) return {};
    return rule;
  }
  if (!text.starts_with('/')) return {};
  rule.name = normal_path(text);
  if (rule.name.ends_with(kBelow)) {
    rule.below = true;
    rule.name.resize(rule.name.size() - kBelow.size());
  }
  const bool pattern = rule.name.find_first_of("*?") != std::string::npos;
  if (pattern || rule.name == "/" || rule.name.size() > kMaxUnixName) return {};
  return rule;
}

Status check_unix_place(const UnixRule& rule, const std::string& changeable) {
  if (rule.abstract()) return {};
  const bool inside = at_or_below(rule.name, changeable);
  if (!inside && !(rule.below && at_or_below(changeable, rule.name))) return {};
  return fail(Code::InvalidArgument,
              fmt::format("'unix:{}' cannot be told from what the workload puts there, as it may "
                          "write to '{}': choose a place outside of it, or allow unix:*",
                          rule.name + (rule.below ? "/**" : ""), changeable));
}

}  // namespace moat::policies
