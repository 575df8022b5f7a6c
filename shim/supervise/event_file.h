// Where a container's events go, and what identifies the container in them.
#pragma once

#include <string>

#include "oci/spec.h"
#include "policies/event.h"
#include "shim/supervise/guard.h"

namespace moat::shim {

policies::ContainerInfo identity_of(const NewContainer& container, const oci::Spec& spec);

// pods/<namespace>_<pod>_<uid>/<container>.jsonl, or containers/<id>.jsonl for a plain one. Names
// are cut down to what a path component may hold.
std::string event_file_of(const policies::ContainerInfo& info, const std::string& log_dir);

}  // namespace moat::shim
