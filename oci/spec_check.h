// What config.json must look like where we read or change it. Everything else is left unjudged.
#pragma once

#include <nlohmann/json.hpp>

#include "policies/result.h"

namespace moat::oci {

// Null stands for absent, as it does for the OCI runtime.
Status check_spec(const nlohmann::json& spec);

}  // namespace moat::oci
