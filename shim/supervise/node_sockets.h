// Sockets of the node in a container's mounts: whoever reaches one governs the node, and a policy
// that allows Unix sockets as a class allows these.
#pragma once

#include <string>
#include <vector>

#include "oci/spec.h"

namespace moat::shim {

// A sentence for each mount that is a socket of the host, or a folder that one of the known ones
// lies in. Looked for on the disk.
std::vector<std::string> node_sockets_in(const oci::Spec& spec);

}  // namespace moat::shim
