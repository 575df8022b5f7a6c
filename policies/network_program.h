// From a policy to the programs that hold a container to it where the kernel has its own copy of an
// address. What they share with the outside, the state and the records, is laid down here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
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
  Egress,       // packets: of UDP sockets connected earlier, of raw sockets, TCP's first
  UnixConnect,  // Linux 6.7
  UnixSend,
  Bind4,
  Bind6,
  Create,  // of sockets: their kind
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
std::span<const HookKind> network_hooks();  // in the order of their numbers

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
  std::uint32_t port = 0;    // network order; Create: the socket's type
  std::array<std::uint32_t, 4> ip{};
  std::uint32_t protocol = 0;
  std::uint32_t length = 0;  // of `name`
  std::array<char, 16> comm{};
  std::array<char, 112> name{};  // a Unix socket's sun_path, with room to look past its end
};
static_assert(sizeof(NetworkRecord) == 176 && offsetof(NetworkRecord, name) == 64);

// The others leave the name out.
constexpr std::size_t size_of_record(NetworkHook hook) {
  const bool named = hook == NetworkHook::UnixConnect || hook == NetworkHook::UnixSend;
  return named ? sizeof(NetworkRecord) : offsetof(NetworkRecord, name);
}

// "10.0.0.1:443", "[::1]:80", "unix:/run/x.sock", "unix:@name", "AF_INET type 3 protocol 1"
std::string address_text(const NetworkRecord& record);

// Where this kernel keeps the name that a program on Unix sockets is asked about.
struct KernelNames {
  std::uint32_t view = 0;  // bpf_cast_to_kern_ctx
  std::int16_t address_at = 0, length_at = 0;
};

struct NetworkProgram {
  NetworkHook hook;
  KernelCode code;
  KernelCode plain{};  // for a kernel that does not take it, and says less; empty: there is none
  bool named = false;  // it looks at the names of Unix sockets, which `plain` does not
};

// None when there is nothing to hold: mode off, or every phase may reach everything. In `audit` the
// programs report and allow. Fails when the lists are too long for a program.
// Without `names` Unix sockets are all or none.
Result<std::vector<NetworkProgram>> network_programs(const Policy& policy, Mode mode,
                                                     std::optional<KernelNames> names = {});

// Some phase tells addresses apart, so that registers must let through what the programs decide;
// one of these does not allow all Unix sockets, so that those must be held as well; or names some.
bool tells_addresses_apart(const Policy& policy);
bool must_hold_unix(const Policy& policy);
bool names_unix(const Policy& policy);
// Every phase names addresses and allows all Unix sockets, or allows everything: then the programs
// alone can decide, and nobody need be asked where a call connects or sends to.
bool leaves_addresses_to_programs(const Policy& policy);

}  // namespace moat::policies
