// Finds where a policy's places are in one container, on the disk, before it is created: in its
// image, on a mount, or inside a volume that others may be writing to at this moment.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "oci/fd.h"
#include "oci/rewrite.h"
#include "oci/spec.h"
#include "policies/policy.h"

namespace moat::oci {

// A place inside a volume. The runtime can only be told its path, and whoever else writes to the
// volume could swap that for a symlink to the host until it is mounted.
struct HeldPlace {
  std::string point;  // in the container
  UniqueFd fd;        // what was found there, O_PATH
};

struct Places {
  std::vector<std::string> mount_points;  // for RewriteInput, like the next two
  std::vector<Place> models;
  std::vector<Place> scratch;      // `enforce` only
  std::vector<HeldPlace> held;     // for verify_places()
  std::vector<std::string> notes;  // places that are not there, for people
};

// In `enforce`, scratch places that do not exist are made, owned by the container's process; in
// other modes nothing is touched, and what cannot be found out is a note instead of an error.
Result<Places> find_places(const Spec& spec, const std::string& rootfs,
                           const policies::Policy& policy, policies::Mode mode);

// To be called between the runtime's create and start, in every mode: an error means that something
// else was mounted than was found, and the container must not live.
[[nodiscard]] Status verify_places(const std::vector<HeldPlace>& held, pid_t init);

}  // namespace moat::oci
