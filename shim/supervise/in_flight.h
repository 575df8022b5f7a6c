// Which threads of a container may still be inside a call that was let through under the boundary
// before. /proc/TID/syscall shows what a thread sleeps in; of one that runs it shows nothing, and
// what counts is that it goes on: no such call keeps a processor busy for long.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/syscalls.h"

namespace moat::shim {

// The text of /proc/TID/syscall. `number` -1: in none.
struct Doing {
  bool running = false;
  std::int32_t number = -1;
  std::array<std::uint64_t, 6> args{};
};
std::optional<Doing> parse_doing(std::string_view text);

class InFlight {
 public:
  using Calls = std::vector<const policies::SyscallRow*>;

  // `calls`: those that the new boundary does not let through whatever they say.
  InFlight(policies::Arch arch, Calls calls) : arch_(arch), calls_(std::move(calls)) {}

  // Takes note of every thread of these. To be called again before the last word: a thread that
  // ends while its process is listed can hide another one. A new thread is in no old call.
  void add(const std::vector<pid_t>& processes);

  // Looks at each that is left once; true: nobody is inside.
  bool look();

  // "connect in python3 (pid 12, thread 14)", of those seen asleep in such a call.
  [[nodiscard]] std::vector<std::string> inside() const;
  // Those that were runnable all the time, and got no processor.
  [[nodiscard]] std::size_t starved() const;

 private:
  struct Thread {
    pid_t pid = 0;
    const policies::SyscallRow* call = nullptr;  // asleep in it
    std::optional<std::uint64_t> ran;            // runnable: nanoseconds on a processor until then
    bool out = false;
  };
  void look_at(pid_t tid, Thread& thread) const;

  policies::Arch arch_;
  Calls calls_;
  std::map<pid_t, Thread> threads_;
};

}  // namespace moat::shim
