#include "shim/supervise/process_state.h"

#include <nlohmann/json.hpp>

namespace moat::shim {

Result<ProcessState> parse_process_state(std::string_view text) {
  if (text.size() > kMaxProcessState)
    return fail(Code::ResourceExhausted, "container process state is longer than 64 KiB");
  try {
    const auto json = nlohmann::json::parse(text);
    ProcessState state;
    json.at("fds").get_to(state.fd_names);
    json.at("pid").get_to(state.pid);
    state.metadata = json.value("metadata", "");
    json.at("state").at("id").get_to(state.id);
    json.at("state").at("status").get_to(state.status);
    if (state.pid < 0)
      return fail(Code::InvalidArgument, "container process state: pid is negative");
    return state;
  } catch (const std::exception& e) {
    return fail(Code::InvalidArgument, std::string("container process state: ") + e.what());
  }
}

}  // namespace moat::shim
