#include "tests/bench/processes.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "oci/sys.h"

namespace moat::bench {

namespace {

// The names in a folder that are numbers.
std::vector<pid_t> numbers_in(const std::string& folder) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const int number = std::atoi(entry->d_name);
    if (number > 0) numbers.push_back(number);
  }
  return numbers;
}

std::string program_of(pid_t pid) {
  char path[4096];
  const ssize_t n = ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

std::string proc(pid_t pid, const char* file) {
  return oci::read_file("/proc/" + std::to_string(pid) + "/" + file).value_or(std::string());
}

long sum_of(const std::string& text, const std::string& key) {
  long sum = 0;
  for (std::size_t at = text.find("\n" + key); at != std::string::npos;
       at = text.find("\n" + key, at + 1))
    sum += std::atol(text.c_str() + at + 1 + key.size());
  return sum;
}

std::vector<pid_t> helpers_of(pid_t shim) {
  std::vector<pid_t> helpers;
  const std::string program = program_of(shim);
  for (const pid_t pid : numbers_in("/proc"))
    if (sum_of(proc(pid, "status"), "PPid:") == shim && program_of(pid) == program)
      helpers.push_back(pid);
  return helpers;
}

pid_t helper_of(pid_t shim, const std::string& role) {
  const auto helpers = helpers_of(shim);
  const auto found = std::ranges::find_if(helpers, [&](pid_t pid) {
    return proc(pid, "cmdline").find('\0' + role + '\0') != std::string::npos;
  });
  return found == helpers.end() ? 0 : *found;
}

long switches(const std::vector<pid_t>& pids) {
  long sum = 0;
  for (const pid_t pid : pids)
    for (const pid_t thread : numbers_in(fmt::format("/proc/{}/task", pid))) {
      const std::string status = proc(pid, fmt::format("task/{}/status", thread).c_str());
      sum += sum_of(status, "voluntary_ctxt_switches:");
      sum += sum_of(status, "nonvoluntary_ctxt_switches:");
    }
  return sum;
}

}  // namespace moat::bench
