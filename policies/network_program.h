// From a policy to the programs that hold a container to it where the kernel has its own copy of an
// address. What they share with the outside, the state and the records, is laid down here.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "policies/kernel_code.h"
#include "policies/policy.h"

namespace moat::policies {

enum class NetworkHook : std::uint32_t {
  Connect4,
  Connect6,
  Send4,
  Send6,
  Egress,       // packets: of UDP sockets connected earlier, of raw sockets
  UnixConnect,  // Linux 6.7: the family, without the path
  UnixSend,
  Device,  // device_program.h
};

struct HookKind {
  NetworkHook hook;
  std::string_view name;  // at most 15 characters
  std::uint32_t program_type, attach_type;
  std::string_view call;  // what a report says that was refused
  [[nodiscard]] bool is_unix() const {
    return hook == NetworkHook::UnixConnect || hook == NetworkHook::UnixSend;
  }
};
const HookKind& kind_of(NetworkHook hook);

// One map value: the shim writes it, the programs read it.
struct NetworkState {
  std::uint32_t phase = 0;  // phase_word(), 0: before the first, nothing is allowed
  std::uint32_t unused = 0;
  std::uint64_t session_cgroup = 0;  // sockets in it are not the policy's business
  std::uint64_t lost = 0;            // records that found no room; counted by the programs
};
constexpr std::uint32_t phase_word(Phase phase) {
  return static_cast<std::uint32_t>(phase) + 1;
}

// What the ring holds: a refusal, or what would have been one.
struct NetworkRecord {
  std::uint64_t pid_tgid = 0;  // process in the upper half, thread in the lower; 0: a packet
  std::uint32_t phase = 0;     // phase_word()
  std::uint32_t hook = 0;
  std::uint32_t family = 0;  // AF_INET also for what was v4-mapped
  std::uint32_t port = 0;    // network order
  std::array<std::uint32_t, 4> ip{};
  std::uint32_t protocol = 0;
  std::uint32_t unused = 0;
  std::array<char, 16> comm{};
};
static_assert(sizeof(NetworkRecord) == 64);

std::string address_text(const NetworkRecord& record);  // "10.0.0.1:443", "[::1]:80", "unix:"

struct NetworkProgram {
  NetworkHook hook;
  KernelCode code;
  KernelCode older{};  // for kernels that refuse `code`: says less of the caller. Empty: none
};

// None when there is nothing to hold: mode off, or every phase may reach everything. In `audit` the
// programs report and allow. Fails when the lists are too long for a program.
Result<std::vector<NetworkProgram>> network_programs(const Policy& policy, Mode mode);

// Some phase tells addresses apart, so that registers must let through what the programs decide;
// and one of these does not allow all Unix sockets, so that those must be held as well.
bool tells_addresses_apart(const Policy& policy);
bool must_hold_unix(const Policy& policy);
// Every phase names addresses and allows all Unix sockets, or allows everything: then the programs
// alone can decide, and nobody need be asked where a call connects or sends to.
bool leaves_addresses_to_programs(const Policy& policy);

}  // namespace moat::policies
