#include "shim/supervise/cleanup.h"

#include "hooks/removal.h"
#include "oci/node_config.h"

namespace moat::shim {

Status supervise_cleanup(const std::string& ns, const std::string& id) {
  const auto config = oci::NodeConfig::load();
  // A broken configuration must not leave sockets behind: its folder is then the usual one.
  auto removed =
      hooks::remove_leftovers(config ? config->state_dir : oci::NodeConfig{}.state_dir, {ns, id});
  if (!config) return fail(Error(config.error()));
  return removed;
}

}  // namespace moat::shim
