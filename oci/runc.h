// The OCI runtime's command line and what it says when it fails. Any runc-compatible binary.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/loop.h"
#include "oci/spawn.h"
#include "policies/result.h"

namespace moat::oci {

// What every call for one container shares.
struct RuncConfig {
  std::string binary = "runc";
  std::string root;  // the namespace's folder included
  std::string log;   // JSON lines; grows over the calls
  bool systemd_cgroup = false;
};

struct RuncCreate {
  std::string id, bundle, pid_file;
  bool no_pivot = false, no_new_keyring = false;
};

struct RuncExec {
  std::string id, process_file, pid_file;
};

using Argv = std::vector<std::string>;

Argv runc_create(const RuncConfig& config, const RuncCreate& create);
Argv runc_exec(const RuncConfig& config, const RuncExec& exec);
Argv runc_start(const RuncConfig& config, const std::string& id);
Argv runc_delete(const RuncConfig& config, const std::string& id, bool force);
Argv runc_pause(const RuncConfig& config, const std::string& id);
Argv runc_resume(const RuncConfig& config, const std::string& id);
Argv runc_update(const RuncConfig& config, const std::string& id);  // resources on stdin

// The last line of level "error" in a runtime's JSON log; empty when there is none. Other text
// between the lines (a runtime's panic) is passed over.
std::string last_log_error(std::string_view log);

// Kubernetes gives most requests two minutes; a runtime that needs longer is taken to hang.
// MOAT_RUNC_TIMEOUT_MS overrides it, for tests.
std::chrono::milliseconds runc_deadline();

struct RuncCall {
  Argv argv;
  std::string log;                       // read from where it ended before the call
  std::vector<std::pair<int, int>> fds;  // the container's stdio, for create and exec
  std::string input;
};

// Runs it to its end; a failure is Unknown with the runtime's own words, or says why there are
// none.
void run_runc(Loop& loop, RuncCall call, std::function<void(Status)> done);

}  // namespace moat::oci
