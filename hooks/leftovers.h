// What a container leaves in moat's state folder when its shim dies, and what the runtime says
// about a container that has stopped. Names only: nothing here touches the disk.
#pragma once

#include <string>
#include <string_view>

#include "policies/result.h"

namespace moat::hooks {

inline constexpr std::string_view kStateDir = "/run/moat";  // MOAT_STATE_DIR overrides it

struct Stopped {
  std::string namespace_;  // containerd's
  std::string id;
};

// The OCI state that hooks get. containerd's bundles lie in a folder of their namespace, which is
// the one place where a hook can learn it.
Result<Stopped> parse_stopped(std::string_view state_json);

// Where the runtime hands over the seccomp listener. A hash, since ids may be longer than the path
// of a socket.
std::string listener_path(std::string_view state_dir, std::string_view namespace_,
                          std::string_view id);

}  // namespace moat::hooks
