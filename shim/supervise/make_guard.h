// The one place that decides what guards a shim's containers.
#pragma once

#include <memory>
#include <string>

#include "oci/loop.h"
#include "oci/node_config.h"
#include "shim/reaper.h"
#include "shim/supervise/guard.h"
#include "shim/ttrpc/service.h"

namespace moat::shim {

// Who this shim is, as its command line and environment say.
struct ShimIdentity {
  std::string ns;                  // containerd's namespace
  std::string id;                  // the task the shim was started for
  std::string containerd_address;  // its gRPC socket
  std::string bundle;              // of that task: the folder the shim was started in
  std::string socket;              // the shim's own
};

// What a guard may use. All of it outlives the guard.
struct GuardParts {
  oci::Loop& loop;
  Reaper& reaper;             // every child of the guard's own is made known to it, or held
  ttrpc::Registry& registry;  // for services of its own
};

std::unique_ptr<Guard> make_guard(const GuardParts& parts, const ShimIdentity& identity,
                                  const Result<oci::NodeConfig>& node);

}  // namespace moat::shim
