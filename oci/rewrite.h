// The pure rewrite of config.json: what supervision needs is put in, everything else stays. Facts
// about the root file system come in as values; nothing here touches the disk.
#pragma once

#include <string>
#include <vector>

#include "oci/spec.h"
#include "policies/compile.h"
#include "policies/policy.h"

namespace moat::oci {

// A declared place inside the container after its symlinks were followed (places.h finds them).
struct Place {
  std::string path;      // as declared, absolute in the container
  std::string resolved;  // where it is, without leading '/': "var/tmp"
  bool directory = true;
  bool exec = false;   // scratch: the policy lets a phase run files from here, so no noexec
  std::string source;  // below a bind mount: what a mount of its own is made of, on the host
};

struct RewriteInput {
  policies::Mode mode = policies::Mode::Enforce;
  policies::Arch arch = policies::Arch::X86_64;
  std::vector<policies::CallPlan> plan;
  std::vector<std::string> known_calls;  // known_calls.h; empty: a permissive default stays one
  std::string listener_path;             // absolute, at most 107 bytes
  std::string listener_metadata;         // the container's id
  std::string hook;                      // moat-hook on the host; empty: not installed
  std::string state_dir;                 // for it
  std::string rootfs;                    // host path of the mounted root file system
  // Where each mount of config.json ends up once symlinks of the image are followed, in its order.
  std::vector<std::string> mount_points;
  std::vector<Place> models;   // each becomes (or hardens) a read-only mount of its own
  std::vector<Place> scratch;  // enforce only: islands
};

struct RewriteOutput {
  std::vector<std::string> model_mounts;  // mount points in the container to put load marks on
  std::vector<std::string> islands;       // mount points that stay writable after `load`
  std::vector<std::string> notes;         // what was changed or left that a person may ask about
};

// On an error `spec` is as it was.
Result<RewriteOutput> rewrite(Spec& spec, const RewriteInput& input);

// The seccomp part alone: merges the plan into whatever profile came. See seccomp_merge.cc.
Status merge_seccomp(nlohmann::json& linux_section, const RewriteInput& input);

}  // namespace moat::oci
