// `-v` and `-info`: what this runtime is, for people and for containerd 2.0 and later.
#pragma once

#include <string>

namespace moat::shim {

std::string version_text();
int info_main();

}  // namespace moat::shim
