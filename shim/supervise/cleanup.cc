#include "shim/supervise/cleanup.h"

#include "oci/node_config.h"
#include "shim/supervise/state_dir.h"

namespace moat::shim {

Status supervise_cleanup(const std::string& ns, const std::string& id) {
  const auto config = oci::NodeConfig::load();
  // A broken configuration must not leave sockets behind: its folder is then the usual one.
  clean_state(config ? config->state_dir : oci::NodeConfig{}.state_dir, ns, id);
  if (!config) return fail(Error(config.error()));
  return {};
}

}  // namespace moat::shim
