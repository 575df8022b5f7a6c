// What /proc says of moat's processes.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace moat::bench {

// The text of /proc/PID/FILE; empty: gone.
std::string proc(pid_t pid, const char* file);

// The sum of all lines that begin with `key`, in their unit.
long sum_of(const std::string& text, const std::string& key);

// What a shim started of its own program: a supervisor, a keeper.
std::vector<pid_t> helpers_of(pid_t shim);

// That one of them whose command line names the role; 0: there is none.
pid_t helper_of(pid_t shim, const std::string& role);

// How often the threads of these were given a core.
long switches(const std::vector<pid_t>& pids);

}  // namespace moat::bench
