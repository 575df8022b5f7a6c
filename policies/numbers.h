// Names of errnos and signals, from the C library's own tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moat::policies {

std::string errno_name(int err);  // "EACCES"; "E?999" for a number without a name
std::optional<int> errno_from(std::string_view name);

std::string signal_name(int signal);                    // "TERM"
std::optional<int> signal_from(std::string_view name);  // "TERM" or "SIGTERM"

}  // namespace moat::policies
