// Thin wrappers over the system: an errno becomes an Error with the place, every descriptor has an
// owner and CLOEXEC. Calls newer than glibc 2.34 go by number.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::oci {

Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0);

// Reads at most `limit` bytes; a longer file is an error (ResourceExhausted), never a cut.
Result<std::string> read_file(const std::string& path, std::size_t limit = 8U << 20);
Result<std::string> read_all(int fd, std::size_t limit = 8U << 20);
Status write_all(int fd, std::string_view data);

// Writes a temporary file beside `path` and renames it over it.
Status write_file_atomic(const std::string& path, std::string_view data, mode_t mode);
Status make_dirs(const std::string& path, mode_t mode);  // like mkdir -p
Status remove_tree(const std::string& path);             // like rm -rf; missing is fine

Result<UniqueFd> pidfd_open(pid_t pid);
Status pidfd_signal(int pidfd, int signal);

std::string env_or(const char* name, std::string_view fallback);
std::int64_t monotonic_ms();
std::pair<std::int64_t, std::int32_t> utc_now();  // seconds, nanoseconds

// Field 22 of /proc/PID/stat: what tells a pid from its next owner. 0 when the process is gone.
std::uint64_t start_time_of(pid_t pid);

}  // namespace moat::oci
