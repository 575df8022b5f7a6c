// The grammar of annotation values. Whoever can create a pod writes them: nothing is guessed, and
// an error is a phrase that quotes no more than is safe to print.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policies/document.h"
#include "policies/result.h"

namespace moat::oci {

inline constexpr std::size_t kMaxAnnotation = 4096;  // a page of text; real values are far below
inline constexpr std::size_t kMaxItems = 64;         // each path may become a mount

Status check_value(std::string_view value);  // length, UTF-8, no control characters, not empty

// "enforce", and the names other tools use for audit: complain, permissive, dryrun, monitor.
Result<policies::Mode> value_mode(std::string_view value);
Result<policies::Sessions> value_sessions(std::string_view value);
Result<std::string> value_profile(std::string_view value);  // "builtin/python", "node/own"
Result<std::string> value_sha256(std::string_view value);   // lower case
Result<std::string> value_path(std::string_view value);     // absolute, cleaned, literal, not "/"
Result<std::vector<std::string>> value_paths(std::string_view value);
Result<std::vector<std::uint16_t>> value_ports(std::string_view value);
Result<std::string> value_reload(std::string_view value);          // "deny", "allow", "window=60s"
Result<std::string> value_rate(std::string_view value);            // "50/s"
Result<std::string> value_failure_policy(std::string_view value);  // "closed", "open"
Result<std::vector<std::string>> value_containers(std::string_view value);
Result<std::vector<std::string>> value_addresses(std::string_view value);

}  // namespace moat::oci
