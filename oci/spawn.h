// Starts a program without fork's dangers and tells when it ended. Never waits for strangers.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "oci/fd.h"
#include "oci/loop.h"
#include "policies/result.h"

namespace moat::oci {

struct Command {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH unless it has a '/'
  std::string path;                      // the program, if it is not argv[0]
  std::vector<std::string> env;          // empty: inherited
  std::string cwd;                       // empty: inherited
  std::vector<std::pair<int, int>> fds;  // {ours, number in the child}; all others are closed
  bool new_group = true;
  std::function<void(pid_t)> spawned{};  // of run(): at once, before anything is heard of it
};

struct Child {
  pid_t pid = 0;
  UniqueFd pidfd;
};

// posix_spawn; fds 0-2 not named in `fds` are /dev/null.
Result<Child> spawn(const Command& command);

struct Exit {
  int status = 0;  // exit code, or 128 + signal
  bool signalled = false;
};

// Reaps a child through its pidfd; does not block when it is still running (Unavailable).
Result<Exit> reap(int pidfd);

struct RunResult {
  Exit exit;
  bool timed_out = false;  // killed by us at the deadline
  std::string output;      // stdout and stderr together, the first 64 KiB
};

// Runs a command to its end on the loop: output is drained while it runs, the whole is bounded by
// `deadline` (SIGKILL to its group), and `done` is called exactly once. `input` goes to its stdin.
// Descriptors 1 and 2 named in `command.fds` are the command's own and are not collected.
void run(Loop& loop, Command command, std::string input, std::chrono::milliseconds deadline,
         std::function<void(Result<RunResult>)> done);

}  // namespace moat::oci
