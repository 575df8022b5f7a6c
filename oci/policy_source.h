// Which policy document a container gets, and from where.
#pragma once

#include <string>

#include "oci/annotations.h"
#include "oci/node_config.h"
#include "oci/spec.h"
#include "policies/document.h"

namespace moat::oci {

inline constexpr std::size_t kMaxPolicy = 1U << 20;  // Kubernetes' own limit of a ConfigMap

struct PolicySource {
  policies::Document composed;
  std::string source;  // builtin | node | configmap | annotation
  std::string digest;  // SHA-256 of the composed document's canonical JSON
};

// The annotation's policy, else its profile, else the node's. A policy-sha256 must be the digest of
// the file's bytes or of the composed document.
Result<PolicySource> policy_source(const Spec& spec, const Annotations& annotations,
                                   const NodeConfig& node);

struct MountedFile {
  std::string text;
  bool configmap = false;
};

// Reads a file a pod names by its path in the container: from the host's side of a read-only volume
// and never out of it.
Result<MountedFile> read_mounted(const Spec& spec, const std::string& path, std::size_t limit);

}  // namespace moat::oci
