// Makes each declared place a mount of its own: scratch places stay writable after `load`
// (islands), models are where load marks go and, in `enforce`, read-only. Pure: mounts in, mounts
// out.
#pragma once

#include "oci/mount_list.h"
#include "oci/rewrite.h"

namespace moat::oci {

// Islands before models, so that a model inside an island finds it. Both append to `output`.
Status add_islands(MountList& mounts, const Spec& spec, const RewriteInput& input,
                   RewriteOutput& output);
Status add_models(MountList& mounts, const Spec& spec, const RewriteInput& input,
                  RewriteOutput& output);

}  // namespace moat::oci
