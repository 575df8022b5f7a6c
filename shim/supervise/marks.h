// The fanotify group of a container and the marks it holds; made by the shim, which has the
// privilege, read by the supervisor.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::shim {

Result<UniqueFd> make_group();

// Marks the mounts at these points (the model mounts, while the container is in `init`), and others
// by which the same files are reached, but for the islands.
Status mark_points(int group, pid_t init, const std::vector<std::string>& points,
                   const std::vector<std::string>& islands = {});

// Marks every mount of the container on which files live; kernel interfaces and /dev are left out.
Status mark_all(int group, pid_t init);

// Of the marks takes away all but those that mark_points() makes: what is not asked about costs
// nothing.
Status keep_marks(int group, pid_t init, const std::vector<std::string>& points,
                  const std::vector<std::string>& islands);

}  // namespace moat::shim
