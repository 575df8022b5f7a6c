// The message a runtime sends with a seccomp listener (containerProcessState of the OCI
// specification), from text to a value. Pure; the text is bounded by its receiver.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

inline constexpr std::size_t kMaxProcessState = 64U << 10;

struct ProcessState {
  std::vector<std::string> fd_names;  // i-th name: i-th descriptor
  std::int32_t pid = 0;    // the process that installed the filter; crun's execs do not say: 0
  std::string metadata;    // ours, from config.json
  std::string id, status;  // of the container
};

Result<ProcessState> parse_process_state(std::string_view text);

}  // namespace moat::shim
