// What a Go program says of a text that is not the JSON object it needs. Clients compare and show
// these texts: they are what runc's shim answers. Pure.
#pragma once

#include <string_view>

#include "policies/result.h"

namespace moat::shim {

// `type`: the Go type an object is to become, as "specs.Process". null is an object without fields.
Status check_json_object(std::string_view text, std::string_view type);

}  // namespace moat::shim
