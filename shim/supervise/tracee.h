// Reads what a waiting caller's pointers point to: private, bounded copies, taken by threads that a
// page which never arrives (behind userfaultfd or FUSE) can hold up without holding up anybody
// else. Nothing read here may ever justify an allowance.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "oci/loop.h"
#include "policies/syscalls.h"

namespace moat::shim {

inline constexpr std::size_t kMaxPath = 4096;     // the kernel's PATH_MAX, with the NUL
inline constexpr std::size_t kMaxArgs = 32;       // of an exec, for the report
inline constexpr std::size_t kMaxArgBytes = 256;  // of each
inline constexpr std::size_t kMaxSockAddr = 128;  // the kernel's own limit
inline constexpr std::size_t kMaxReaders = 8;     // threads; when all are stuck reads are refused

// What the arguments of one call claimed.
struct Claims {
  std::optional<std::string> path, path2;          // as passed, not resolved
  std::optional<std::string> resolved, resolved2;  // absolute in the container, symlinks followed
  std::vector<std::string> argv;
  std::string sockaddr;
  std::optional<std::uint64_t> open_flags;
  bool unreadable = false;
};

struct ReadRequest {
  pid_t tid = 0;
  const policies::SyscallRow* call = nullptr;
  std::array<std::uint64_t, 6> args{};
};

// The reading itself, on the calling thread; may block for ever. Exposed for tests.
Claims read_claims(const ReadRequest& request);

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> create(oci::Loop& loop);
  ~Reader();

  // `done` runs on the loop: with the claims, or with nothing when the deadline passed first.
  void read(const ReadRequest& request, std::function<void(std::optional<Claims>)> done);

  // Long enough for a busy node: an honest argument that comes too late is a false alarm.
  static constexpr std::chrono::milliseconds kDeadline{500};

 private:
  struct Shared;
  struct Job;
  explicit Reader(oci::Loop& loop) : loop_(loop) {}
  void start_worker();
  void collect();
  void give_up(std::uint64_t job);

  oci::Loop& loop_;
  std::shared_ptr<Shared> shared_;
  std::map<std::uint64_t, std::function<void(std::optional<Claims>)>> waiting_;
  std::map<std::uint64_t, oci::Loop::TimerId> timers_;
  std::uint64_t next_ = 1;
};

}  // namespace moat::shim
