// The moat.dev/* annotations as a value that cannot be wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policies/document.h"
#include "policies/result.h"

namespace moat::oci {

struct Annotations {
  std::optional<policies::Mode> mode;
  std::optional<std::string>
      profile;                        // "builtin/python" (a bare "python" means the same), "node/x"
  std::optional<std::string> policy;  // path inside the container of a mounted file
  std::optional<std::string> policy_sha256;  // 64 hex digits
  std::vector<std::string> model_paths, cache_paths;
  std::vector<std::string> allow_connect, allow_write, allow_exec;
  std::optional<std::vector<std::uint16_t>> serve_on;  // listen ports; empty: any
  std::optional<policies::Sessions> sessions;
  std::optional<std::vector<std::string>> containers;
  // reload, failure-policy and event-rate are validated and kept as text for the parts that use
  // them
  std::map<std::string, std::string> other;

  // `container`: CRI's container name, for `<key>.moat.dev/<container>`; the specific key wins.
  // Unknown keys and bad values are errors: "annotation moat.dev/mode: 'enforced' is not one of
  // off, audit, learn, enforce; did you mean 'enforce'?".
  static Result<Annotations> parse(const std::map<std::string, std::string>& all,
                                   const std::string& container);
};

}  // namespace moat::oci
