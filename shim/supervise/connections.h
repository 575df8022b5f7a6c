// TCP connections that a container has made and still holds: the one kind of socket that a new
// boundary does not reach by itself.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policies/network_program.h"

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

// The far end as the kernel's programs would have it, v4-mapped addresses unwrapped; `ip` in
// network order, `port` not.
policies::NetworkRecord remote_record(const std::array<std::uint32_t, 4>& ip, std::uint16_t port,
                                      bool v6);
bool is_allowed(const policies::NetworkRules& network, const policies::NetworkRecord& record);

// Adds the numbers of the sockets a process holds; looks at no more than `left` descriptors.
void add_sockets(pid_t pid, std::size_t& left, std::set<std::uint64_t>& inodes);

}  // namespace moat::shim
