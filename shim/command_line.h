// The command line containerd gives a shim, in the syntax of Go's flag package. Pure.
#pragma once

#include <string>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

enum class Action { Serve, Start, Delete };

struct CommandLine {
  std::string ns, id, address, publish_binary, bundle, socket, debug_socket;
  bool debug = false, version = false, info = false, help = false;
  Action action = Action::Serve;
};

// One or two dashes, "-k v" or "-k=v"; flags end at the first word that is none. An error is a
// usage error: exit 2.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

std::string usage();

}  // namespace moat::shim
