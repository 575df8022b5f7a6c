// Cuts connections that a new boundary does not allow, wherever their descriptors are: in a table,
// in a thread's own one, in a message that nobody has received. The kernel lists them by the cgroup
// they were made in, and destroys those it is told to.
//
//   cut PID START-TIME CGROUP-FOLDER [--listen] [ADDRESS...] [--once ADDRESS...]
//
// A process of its own, because it enters the container's network namespace. Exit 0: done, each
// line of standard output a connection that is no more. Exit 1: some may be left, the reason is
// there instead.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "policies/policy.h"

namespace moat::shim {

struct Cut {
  std::string to;  // "10.0.0.1:443"
  std::uint64_t inode = 0;
};

struct CutOrder {
  policies::NetworkRules rules;  // of the phase that begins
  // What other phases name. Who came to a port that the container listens on stays where `rules`
  // let it listen, and has no mark that tells it from a connection made from that very port; but
  // that one leads to where it was allowed to.
  std::vector<policies::AddressRule> once;
};

// In the caller's network namespace; `cgroups`: the ids of those whose sockets are meant. The error
// is Unimplemented where the kernel has no list to give (tcp_diag).
Result<std::vector<Cut>> cut_connections(const std::set<std::uint64_t>& cgroups,
                                         const CutOrder& order);

// The cgroup and those below it, without that of sessions.
std::set<std::uint64_t> cgroups_below(const std::string& folder);

// What the process is told of the phase `next`, and reads again.
std::vector<std::string> cut_words(const std::vector<policies::NetworkRules>& phases,
                                   std::size_t next);
CutOrder cut_order(const std::vector<std::string>& words);

}  // namespace moat::shim
