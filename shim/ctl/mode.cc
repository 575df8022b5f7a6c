#include "shim/ctl/mode.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "shim/ctl/containers.h"

namespace moat::shim::ctl {

std::string mode_obstacle(std::string_view id, std::string_view mode, std::string_view wanted) {
  if (mode == wanted) return {};
  const std::string head = std::string(id) + " runs in " + std::string(mode) + ": ";
  if (wanted == "enforce")
    return head +
           "a restart is needed, as its writable places are made when a container is created; set "
           "the annotation moat.dev/mode: enforce and create it anew";
  return head +
         "the boundary of a running container does not loosen; set the annotation moat.dev/mode: " +
         std::string(wanted) + " and create it anew, if the node's floor allows it";
}

Exit mode(const ModeOptions& options) {
  const auto containers = all_containers(options.state_dir);
  if (!containers) return Exit::Failure;
  const auto found = std::ranges::find_if(
      *containers, [&](const auto& container) { return container.id() == options.id; });
  if (found == containers->end()) {
    warn("no supervised container " + options.id + " (moatctl ps lists them)");
    return Exit::Failure;
  }
  if (!options.wanted.empty()) {
    const std::string obstacle = mode_obstacle(options.id, found->mode(), options.wanted);
    if (obstacle.empty()) return Exit::Fine;
    warn(obstacle);
    return Exit::Findings;
  }
  const bool json = options.format == Format::Json;
  const std::string text =
      json ? nlohmann::json{{"id", found->id()}, {"mode", found->mode()}}.dump() : found->mode();
  return print(text + "\n") ? Exit::Fine : Exit::Failure;
}

}  // namespace moat::shim::ctl
