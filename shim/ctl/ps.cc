#include "shim/ctl/ps.h"

#include "shim/ctl/containers.h"

namespace moat::shim::ctl {

Exit ps(const PsOptions& options) {
  auto containers = all_containers(options.state_dir);
  if (!containers) return Exit::Failure;
  sort_containers(*containers);
  const bool json = options.format == Format::Json;
  if (auto shown = print(json ? ps_json(*containers) : ps_table(*containers)); !shown) {
    warn(shown.error().what);
    return Exit::Failure;
  }
  return Exit::Fine;
}

}  // namespace moat::shim::ctl
