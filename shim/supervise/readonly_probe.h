// Whether a mount can be turned read-only by its descriptor.
#pragma once

#include "policies/result.h"

namespace moat::shim {

Status try_readonly_mount();

}  // namespace moat::shim
