// A Unix socket of a network.access list, as the bytes of its name: what a kernel program can
// compare.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policies/result.h"

namespace moat::policies {

inline constexpr std::size_t kMaxUnixName = 108;  // sun_path; a path may fill it without a NUL

struct UnixRule {
  std::string name;    // a path without repeated slashes; NUL and the rest of an abstract name
  bool below = false;  // the folder itself and everything in it

  [[nodiscard]] bool abstract() const { return name.starts_with('\0'); }
  // `sun_path`: as many bytes as the caller's length says.
  [[nodiscard]] bool covers(std::string_view sun_path) const;
  bool operator==(const UnixRule&) const = default;
};

// Of "/run/log.sock", "/run/app/**", "@name". Nothing for what is longer than a name can be, or is
// another pattern: `*` and `?` are not looked for in the kernel.
std::optional<UnixRule> unix_rule(std::string_view name);

// Who may write where a name leads decides who answers there. The error says which of `changeable`
// it touches; names from /proc lead to whatever a process makes of them.
Status check_unix_place(const UnixRule& rule, const std::string& changeable);

}  // namespace moat::policies
