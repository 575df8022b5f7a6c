// Whether this kernel can end a connection: tried on one of our own.
#pragma once

#include "policies/result.h"

namespace moat::shim {

// Enters a network of its own: not for a process that has anything else to do.
Status cut_own_connection();

}  // namespace moat::shim
