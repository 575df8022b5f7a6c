// The node's configuration, /etc/moat/moat.yaml. Every key has a default; a missing file is all of
// them. Pods cannot change any of it.
//
//   mode: audit              # of pods that do not say: off, audit, learn or enforce
//   profile: builtin/python  # of pods that bring neither profile nor policy; or node/NAME
//   logDir: /var/log/moat    # events
//   stateDir: /run/moat
//   policyDir: /etc/moat/policies
//   floor: /etc/moat/floor.yaml
//   runtime: runc            # the OCI runtime, of handlers that name none (BinaryName)
//   runtimeRoot: /run/containerd/runc   # where it keeps its state (Root)
//   hook: /usr/local/bin/moat-hook      # without it: moat-hook beside the shim, if it is there
//   failurePolicy: closed    # a container whose promises cannot be kept does not start; pod: its
//                            # annotation failure-policy may say open; open: unless that says
//                            closed
//   systemdCgroup: auto      # auto: by the form of the container's cgroup path; true; false
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policies/document.h"
#include "policies/result.h"

namespace moat::oci {

enum class FailurePolicy : std::uint8_t { Closed, Pod, Open };

struct NodeConfig {
  policies::Mode mode = policies::Mode::Audit;
  std::string profile = "builtin/python";
  std::string log_dir = "/var/log/moat";
  std::string state_dir = "/run/moat";
  std::string policy_dir = "/etc/moat/policies";
  std::string floor = "/etc/moat/floor.yaml";
  // A pod's own options replace the handler's in some versions of containerd: what a node runs
  // with must not depend on them.
  std::string runtime = "runc";
  std::string runtime_root = "/run/containerd/runc";  // without the namespace
  std::string hook;                                   // empty: beside the shim
  std::optional<bool> systemd_cgroup;                 // nothing: auto
  FailurePolicy failure_policy = FailurePolicy::Closed;

  // Strict: "moat.yaml:3: unknown key 'mod'; did you mean 'mode'?".
  static Result<NodeConfig> parse(std::string_view yaml, std::string_view source);

  // From $MOAT_CONFIG or /etc/moat/moat.yaml; then MOAT_LOG_DIR, MOAT_STATE_DIR, MOAT_POLICY_DIR
  // and MOAT_FLOOR have the last word. A file that does not exist is the defaults.
  static Result<NodeConfig> load();
};

}  // namespace moat::oci
