// TCP connections that a container has made and still holds: the one kind of socket that a new
// boundary does not reach.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policies/policy.h"

namespace moat::shim {

struct Connection {
  std::string to;  // "10.0.0.1:443"
  std::uint64_t inode = 0;
};

// Of the text of /proc/PID/net/tcp (tcp6): established, and not to a port somebody listens on
// there; without those that `network` allows.
std::vector<Connection> outgoing(std::string_view table, bool v6,
                                 const policies::NetworkRules& network);

// Those of them that a process of the container holds, which all share a network namespace with
// `init`. For a report: bounded, and processes come and go meanwhile.
std::vector<std::string> connections_left(pid_t init, const std::vector<pid_t>& processes,
                                          const policies::NetworkRules& network);

}  // namespace moat::shim
