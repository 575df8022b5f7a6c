// Finds where a policy's places are in one container, on the disk, before it is created: in its
// image, on a mount, or inside a volume that others may be writing to at this moment.
#pragma once

#include <string>
#include <vector>

#include "oci/fd.h"
#include "oci/rewrite.h"
#include "oci/spec.h"
#include "policies/policy.h"

namespace moat::oci {

struct Places {
  std::vector<std::string> mount_points;  // for RewriteInput, like the next two
  std::vector<Place> models;
  std::vector<Place> scratch;  // `enforce` only
  // What Place::source leads through (/proc/PID/fd/N of this process): a volume's path could be
  // swapped for a symlink to the host until the runtime mounts it. Keep until it has.
  std::vector<UniqueFd> held;
  std::vector<std::string> notes;  // places that are not there, for people
};

// In `enforce`, scratch places that do not exist are made, owned by the container's process; in
// other modes nothing is touched, and what cannot be found out is a note instead of an error.
Result<Places> find_places(const Spec& spec, const std::string& rootfs,
                           const policies::Policy& policy, policies::Mode mode);

}  // namespace moat::oci
