// Says yes or no to one call or one open, from facts alone. Knows nothing of modes: what a "no"
// leads to is verdict.h's business.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "policies/policy.h"
#include "policies/syscalls.h"

namespace moat::policies {

enum class ObjectType : std::uint8_t { None, File, Device, Exec, Socket, Address, Process, System };
std::string_view to_string(ObjectType type);

struct Object {
  ObjectType type = ObjectType::None;
  std::string name;  // path, address, or what the registers say ("AF_INET SOCK_DGRAM", "signal 9")
};

// Whom a signal, or a limit, is for, as far as numbers can be trusted that do not become another's
// while the caller waits: its own, which it keeps.
enum class Target : std::uint8_t { Other, Self };

// What a notified call says. Registers are the kernel's copy; what `claimed_*` hold was read from
// the caller's memory, which it can still change: it may justify a refusal, never an allowance.
struct CallFacts {
  const SyscallRow* call = nullptr;
  std::array<std::uint64_t, 6> args{};
  std::optional<std::string> claimed_path;     // absolute in the container, normalised
  std::optional<std::string> claimed_path2;    // rename, link
  std::optional<std::string> claimed_address;  // "10.0.0.1:443", "[::1]:80", "unix:/run/x.sock"
  std::optional<std::uint64_t> claimed_open_flags;  // openat2 in audit
  // Programs of the kernel's (network_program.h) decide on addresses: what registers let through
  // there is not allowed yet.
  bool kernel_holds = false;
  bool kernel_names_unix = false;  // the same of the names of Unix sockets
  Target target = Target::Other;
  bool unreadable = false;  // an argument that should be there could not be read: refused
};

// What a fanotify permission event says: the object itself, no claim.
struct OpenFacts {
  std::string path;  // of the event's descriptor, as seen in the container
  bool exec = false;
  bool interpreter = false;  // for a program that was let through in the same execve
};

struct Decision {
  bool allowed = false;
  bool quiet = false;  // refused as the policy says, but not a violation
  int err = 0;         // what the caller gets when refused; 0: the policy's own errno
  Action action = Action::SystemControl;
  Object object;
  std::string rule;  // "load.filesystem.modify"
};

Decision decide(const Policy& policy, Phase phase, const CallFacts& facts);
Decision decide(const Policy& policy, Phase phase, const OpenFacts& facts);

// What a session does, by the boundary of their own that the policy has.
Decision decide_session(const Policy& policy, const CallFacts& facts);
Decision decide_session(const Policy& policy, const OpenFacts& facts);

// Whether any open is refused, or would be: if not, nothing need be asked.
bool tells_opens_apart(const Policy& policy, Phase phase);

// What the kernel's own programs refused, or would have: whether it is a violation.
Decision refused_address(const Policy& policy, Phase phase, std::string address);
Decision refused_device(Phase phase, std::string path);

}  // namespace moat::policies
