// What `delete` does about supervision, when the shim itself may have been killed.
#pragma once

#include <string>

#include "policies/result.h"

namespace moat::shim {

// Removes what supervision left of a container. Idempotent, and well within delete's five seconds.
Status supervise_cleanup(const std::string& ns, const std::string& id);

}  // namespace moat::shim
