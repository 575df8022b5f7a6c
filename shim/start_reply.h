// What `start` is asked and what it answers, in the dialect of the daemon that called it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "shim/command_line.h"
#include "shim/proto/wire.pb.h"

namespace moat::shim {

struct StartRequest {
  bool bootstrap = false;  // the daemon speaks protobuf (containerd 2.3 and later)
  bool debug = false;
  std::string socket_dir;   // where it wants the socket; empty: our own default
  moat::wire::Any options;  // the runtime's, as far as the daemon sends them here
};

// The identity must match: the options older daemons send parse as bootstrap parameters, too.
StartRequest parse_start_input(const std::string& input, const CommandLine& line);

// What goes to stdout for the socket at `path`: a BootstrapResult, or the plain address, which
// every older daemon understands and takes for version 2.
std::string start_reply(const StartRequest& request, const std::string& path);

// One shim serves a group: a pod, or whatever shares the annotation. `sandbox` and `group` may be
// empty.
std::string group_of(const std::string& group, const std::string& sandbox, const std::string& id);

// <dir>/<sha256 of the cleaned path address/namespace/group>
std::string socket_path(const std::string& dir, const CommandLine& line, const std::string& group);

}  // namespace moat::shim
