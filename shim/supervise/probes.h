// What supervision needs of the kernel, each tried once on objects of our own. A version number
// says nothing: distributions carry features back, and sandboxes take them away.
#pragma once

#include <span>
#include <string_view>

#include "policies/result.h"

namespace moat::shim {

struct Probe {
  std::string_view name;
  std::string_view promise;  // what holds only with it
  bool needed = true;        // no container is supervised without it
  Status (*attempt)() = nullptr;
};

// Starts processes for a moment: not for a server's thread.
std::span<const Probe> probes();

}  // namespace moat::shim
