#include "policies/network_program.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

#include "policies/network_writer.h"

namespace moat::policies {
namespace {

using detail::NetworkWriter;

// Linux 6.7; older headers do not name them.
constexpr std::uint32_t kUnixConnect = 49, kUnixSend = 50;

constexpr std::array kHooks{
    HookKind{NetworkHook::Connect4, "moat_connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_INET4_CONNECT, "connect"},
    HookKind{NetworkHook::Connect6, "moat_connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_INET6_CONNECT, "connect"},
    HookKind{NetworkHook::Send4, "moat_send4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_UDP4_SENDMSG, "sendto"},
    HookKind{NetworkHook::Send6, "moat_send6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_UDP6_SENDMSG, "sendto"},
    HookKind{NetworkHook::Egress, "moat_egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS,
             ""},
    HookKind{NetworkHook::UnixConnect, "moat_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, kUnixConnect,
             "connect"},
    HookKind{NetworkHook::UnixSend, "moat_unix_send", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, kUnixSend,
             "sendto"},
    HookKind{NetworkHook::Bind4, "moat_bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_INET4_BIND, "bind"},
    HookKind{NetworkHook::Bind6, "moat_bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_INET6_BIND, "bind"},
    HookKind{NetworkHook::Create, "moat_create", BPF_PROG_TYPE_CGROUP_SOCK,
             BPF_CGROUP_INET_SOCK_CREATE, "socket"},
    HookKind{NetworkHook::Device, "moat_device", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE,
             ""},
};

// As a policy would say it.
std::string unix_text(const NetworkRecord& record) {
  const std::string_view name(record.name.data(),
                              std::min<std::size_t>(record.length, kMaxUnixName));
  if (name.starts_with('\0')) return "@" + std::string(name.substr(1));
  return std::string(name.substr(0, name.find('\0')));
}

bool reaches_everything(const Policy& policy) {
  return std::ranges::all_of(kPhases,
                             [&](Phase phase) { return policy.boundary(phase).network.any; });
}

}  // namespace

const HookKind& kind_of(NetworkHook hook) {
  return kHooks[static_cast<std::size_t>(hook)];
}

std::span<const HookKind> network_hooks() {
  return kHooks;
}

std::string address_text(const NetworkRecord& record) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v6 = record.family == AF_INET6;
  if (record.family == AF_UNIX) return "unix:" + unix_text(record);
  if (record.hook == static_cast<std::uint32_t>(NetworkHook::Create))
    return std::string(v6 ? "AF_INET6" : "AF_INET") + " type " + std::to_string(record.port) +
           " protocol " + std::to_string(record.protocol);
  inet_ntop(v6 ? AF_INET6 : AF_INET, record.ip.data(), text.data(), text.size());
  const std::string port = std::to_string(ntohs(static_cast<std::uint16_t>(record.port)));
  return v6 ? "[" + std::string(text.data()) + "]:" + port : std::string(text.data()) + ":" + port;
}

Result<std::vector<NetworkProgram>> network_programs(const Policy& policy, Mode mode,
                                                     std::optional<KernelNames> names) {
  std::vector<NetworkProgram> programs;
  if (mode == Mode::Off || reaches_everything(policy)) return programs;
  const bool audit = mode != Mode::Enforce;
  for (const HookKind& kind : kHooks) {
    if (kind.hook == NetworkHook::Device) continue;
    // Reported by the registers, by the call that connected, or by the path that was claimed.
    if (audit && (kind.hook == NetworkHook::Egress || kind.hook == NetworkHook::Create)) continue;
    if (audit && kind.is_unix() && !names) continue;
    const auto known = kind.is_unix() ? names : std::nullopt;
    KernelCode code = NetworkWriter(policy, kind, audit, known).write();
    if (code.empty())
      return fail(Code::ResourceExhausted,
                  "network.access names more addresses than the kernel takes in one program; join "
                  "them into networks (10.0.0.0/8)");
    NetworkProgram program{kind.hook, std::move(code), {}, known.has_value()};
    if (known && !audit) program.plain = NetworkWriter(policy, kind, audit, {}).write();
    programs.push_back(std::move(program));
  }
  return programs;
}

bool tells_addresses_apart(const Policy& policy) {
  return std::ranges::any_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return !network.any &&
           (network.any_unix || !network.unix_names.empty() || !network.reachable.empty());
  });
}

bool must_hold_unix(const Policy& policy) {
  return std::ranges::any_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return !network.any && !network.reachable.empty() && !network.any_unix;
  });
}

bool names_unix(const Policy& policy) {
  return std::ranges::any_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return !network.any && !network.any_unix && !network.unix_names.empty();
  });
}

bool leaves_addresses_to_programs(const Policy& policy) {
  return std::ranges::all_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return network.any || (network.any_unix && !network.reachable.empty());
  });
}

}  // namespace moat::policies
