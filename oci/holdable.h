// Which containers `enforce` cannot hold, whatever it does inside them.
#pragma once

#include <string>
#include <vector>

#include "oci/spec.h"

namespace moat::oci {

// An error says what the configuration has that puts the container beyond the reach of mounts,
// marks and programs: a place among the node's processes or mounts, or all of its devices.
Status check_holdable(const Spec& spec);

// What is held less than the guarantees say, a sentence each: for `health` events.
std::vector<std::string> loosely_held(const Spec& spec);

}  // namespace moat::oci
