// Decides whether a container is supervised and by which policy, from its configuration, its
// annotations, the node's configuration and the floor.
#pragma once

#include <optional>
#include <string>

#include "oci/annotations.h"
#include "oci/node_config.h"
#include "oci/places.h"
#include "oci/spec.h"
#include "policies/policy.h"

namespace moat::oci {

struct Selection {
  policies::Mode mode = policies::Mode::Audit;  // in force: also in `composed` and `policy`
  policies::Document composed;                  // with what annotations and floor say of it
  policies::Bindings bindings;
  policies::Policy policy;
  std::string source;  // builtin | node | configmap | annotation
  std::string digest;  // of the document before annotations, 64 hex digits
  Annotations annotations;
  bool fail_open = false;  // it may start without a mechanism that its promises need
};

bool is_sandbox(const Spec& spec);

// Nothing: the container runs as under the plain runtime (a pod's sandbox, mode off, or one the
// pod's `containers` annotation leaves out).
Result<std::optional<Selection>> select(const Spec& spec, const NodeConfig& node,
                                        const std::string& rootfs);

// Makes the policy know its places by where they are, too: the kernel names files by that.
Status bind_places(Selection& selection, const Places& places);

}  // namespace moat::oci
