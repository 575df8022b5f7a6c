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
  std::string console_socket = {};  // empty: no terminal
};

struct RuncExec {
  std::string id, process_file, pid_file;
  std::string console_socket = {};
};

struct RuncCheckpoint {
  std::string id, image_path, work_path;
  std::string parent_path = {};
  bool leave_running = true;
  bool open_tcp = false, external_unix_sockets = false, terminal = false, file_locks = false;
  std::vector<std::string> empty_namespaces = {};
  std::string cgroups_mode = {};
};

struct RuncRestore {
  std::string id, bundle, pid_file, image_path, work_path, parent_path;
  bool no_pivot = false;
  std::string console_socket;
};

using Argv = std::vector<std::string>;

Argv runc_create(const RuncConfig& config, const RuncCreate& create);
Argv runc_exec(const RuncConfig& config, const RuncExec& exec);
Argv runc_start(const RuncConfig& config, const std::string& id);
Argv runc_delete(const RuncConfig& config, const std::string& id, bool force);
Argv runc_pause(const RuncConfig& config, const std::string& id);
Argv runc_resume(const RuncConfig& config, const std::string& id);
Argv runc_update(const RuncConfig& config, const std::string& id);  // resources on stdin
Argv runc_checkpoint(const RuncConfig& config, const RuncCheckpoint& checkpoint);
Argv runc_restore(const RuncConfig& config, const RuncRestore& restore);

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
  std::string input = {};
  std::string cwd = {};        // empty: ours
  bool quote_output = false;   // a failure is told with the exit status and what it printed
  bool moves_process = false;  // into a cgroup: create and exec
  std::function<void(pid_t)> spawned{};
  std::chrono::milliseconds deadline = runc_deadline();  // it is killed when this has passed
};

// Runs it to its end; a failure is Unknown with the runtime's own words, or says why there are
// none.
void run_runc(Loop& loop, RuncCall call, std::function<void(Status)> done);

}  // namespace moat::oci
