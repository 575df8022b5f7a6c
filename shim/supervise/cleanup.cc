#include "shim/supervise/cleanup.h"

#include "oci/sys.h"

namespace moat::shim {

Status supervise_cleanup(const std::string& bundle) { return oci::remove_tree(bundle + "/moat"); }

}  // namespace moat::shim
