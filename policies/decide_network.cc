// Sockets by registers. An address is memory: it can make a refusal, or make one quiet, never
// allow. Where the kernel's programs hold a phase to its addresses, the registers let through what
// those then decide on.
#include <sys/socket.h>

#include <cerrno>
#include <charconv>

#include "policies/decide_parts.h"

namespace moat::policies::detail {
namespace {

// The kernel takes ints: what stands above bit 31 is not part of the argument.
std::uint32_t low(std::uint64_t arg) {
  return static_cast<std::uint32_t>(arg);
}

std::string hex(std::uint32_t number) {
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, 16).ptr;
  return "0x" + std::string(text.data(), end);
}

std::string domain_name(std::uint32_t domain) {
  struct Name {
    std::uint32_t number;
    std::string_view text;
  };
  static constexpr Name kNames[] = {
      {AF_UNIX, "AF_UNIX"},       {AF_INET, "AF_INET"},     {AF_INET6, "AF_INET6"},
      {AF_NETLINK, "AF_NETLINK"}, {AF_PACKET, "AF_PACKET"}, {AF_ALG, "AF_ALG"},
      {AF_VSOCK, "AF_VSOCK"},     {AF_XDP, "AF_XDP"},       {AF_BLUETOOTH, "AF_BLUETOOTH"},
  };
  for (const Name& name : kNames)
    if (name.number == domain) return std::string(name.text);
  return "family " + std::to_string(domain);
}

constexpr std::uint32_t kTypeMask = 0xf;  // the rest is SOCK_CLOEXEC and SOCK_NONBLOCK

std::string type_name(std::uint32_t type) {
  switch (type & kTypeMask) {
    case SOCK_STREAM:
      return "SOCK_STREAM";
    case SOCK_DGRAM:
      return "SOCK_DGRAM";
    case SOCK_RAW:
      return "SOCK_RAW";
    case SOCK_SEQPACKET:
      return "SOCK_SEQPACKET";
    default:  // a number from a register, not an enumeration
      return "type " + hex(type);
  }
}

// glibc's resolver, and little else, asks for both flags at once.
bool looks_like_resolver(std::uint32_t type) {
  constexpr std::uint32_t kBoth = SOCK_CLOEXEC | SOCK_NONBLOCK;
  return (type & kTypeMask) == SOCK_DGRAM && (type & kBoth) == kBoth;
}

bool has_one_peer(std::uint32_t type) {
  return (type & kTypeMask) == SOCK_STREAM || (type & kTypeMask) == SOCK_SEQPACKET;
}

constexpr std::string_view kUnixPrefix = "unix:";

// What connect4/6 and sendmsg4/6 see all of.
bool is_udp(std::uint32_t type, std::uint32_t protocol) {
  constexpr std::uint32_t kUdp = 17;
  return (type & kTypeMask) == SOCK_DGRAM && (protocol == 0 || protocol == kUdp);
}

// Only what needs connect() to send: other protocols connect, or send, on the side.
bool is_tcp(std::uint32_t type, std::uint32_t protocol) {
  constexpr std::uint32_t kTcp = 6, kMptcp = 262;
  return (type & kTypeMask) == SOCK_STREAM &&
         (protocol == 0 || protocol == kTcp || protocol == kMptcp);
}

Decision decide_inet(const NetworkRules& network, const CallFacts& facts, Object object) {
  const std::uint32_t type = low(facts.args[1]);
  const std::uint32_t protocol = low(facts.args[2]);
  const bool held = facts.kernel_holds && !network.reachable.empty();
  const bool allowed = network.any || (network.listen && is_tcp(type, protocol)) ||
                       (held && (is_tcp(type, protocol) || is_udp(type, protocol)));
  return hushed(verdict(allowed, Action::NetworkAccess, std::move(object)),
                network.quiet_resolver && looks_like_resolver(type), EACCES);
}

// Some Unix sockets, told apart by their names.
bool names_are_held(const NetworkRules& network, const CallFacts& facts) {
  return facts.kernel_names_unix && !network.unix_names.empty();
}

// A datagram names its receiver in memory, where registers cannot hold it; so does SOCK_RAW, which
// is one here. The programs hold it where they read names.
bool may_send_to_names(const NetworkRules& network, const CallFacts& facts) {
  return network.any || network.any_unix || names_are_held(network, facts);
}

Decision decide_socket(const NetworkRules& network, const CallFacts& facts) {
  const std::uint32_t domain = low(facts.args[0]);
  const std::uint32_t type = low(facts.args[1]);
  Object object{ObjectType::Socket, domain_name(domain) + " " + type_name(type)};
  switch (domain) {
    case AF_UNIX:
      return verdict(may_send_to_names(network, facts) || has_one_peer(type), Action::NetworkAccess,
                     std::move(object));
    case AF_INET:
    case AF_INET6:
      return decide_inet(network, facts, std::move(object));
    default:
      // Netlink: lists interfaces and routes, as getaddrinfo does before it connects. All others
      // are barred.
      return verdict(network.any, Action::NetworkAccess, std::move(object));
  }
}

// A pair can do without its peer: each end sends to any name.
Decision decide_pair(const NetworkRules& network, const CallFacts& facts) {
  const std::uint32_t type = low(facts.args[1]);
  return verdict(may_send_to_names(network, facts) || has_one_peer(type), Action::NetworkAccess,
                 {ObjectType::Socket, domain_name(low(facts.args[0])) + " " + type_name(type)});
}

bool is_quiet_address(const NetworkRules& network, std::string_view address) {
  if (address.starts_with(kUnixPrefix))
    return network.quiet_unix.contains(address.substr(kUnixPrefix.size()));
  return network.quiet_resolver && address.ends_with(":53");
}

// A claim of the wrong kind only gets the claimant refused, here or by the kernel.
bool left_to_kernel(const NetworkRules& network, const CallFacts& facts) {
  if (!facts.kernel_holds || !facts.claimed_address) return false;
  return facts.claimed_address->starts_with(kUnixPrefix)
             ? network.any_unix || names_are_held(network, facts)
             : !network.reachable.empty();
}

// Whatever the address is: nothing of it is left to be read.
bool left_unread(const NetworkRules& network, const CallFacts& facts) {
  return facts.kernel_holds && !network.reachable.empty() &&
         (network.any_unix || names_are_held(network, facts));
}

Decision decide_egress(const NetworkRules& network, const CallFacts& facts) {
  const std::string address = facts.claimed_address.value_or("");
  if (network.any || left_unread(network, facts) || left_to_kernel(network, facts))
    return yes(Action::NetworkAccess, {ObjectType::Address, address});
  return refuse_address(network, address, ECONNREFUSED);
}

Decision decide_listen(const NetworkRules& network, const CallFacts& facts) {
  return verdict(network.any || network.listen, Action::NetworkAccess,
                 {ObjectType::Socket, "fd " + std::to_string(low(facts.args[0]))});
}

}  // namespace

Decision refuse_address(const NetworkRules& network, std::string address, int err) {
  const bool quiet = is_quiet_address(network, address);
  return hushed(verdict(false, Action::NetworkAccess, {ObjectType::Address, std::move(address)}),
                quiet, err);
}

Decision decide_network(const Boundary& boundary, const CallFacts& facts) {
  if (facts.call->tier == Tier::Trigger) return decide_listen(boundary.network, facts);
  if (facts.call->name == "socketpair") return decide_pair(boundary.network, facts);
  if (facts.call->index_of(Arg::Domain)) return decide_socket(boundary.network, facts);
  return decide_egress(boundary.network, facts);
}

}  // namespace moat::policies::detail
