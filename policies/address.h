// An internet address of a network.access list, as numbers: what a kernel program can compare.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moat::policies {

struct AddressRule {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // network order; of an IPv4 address the first four
  std::uint8_t prefix = 0;               // bits that count; those behind them are zero
  std::uint16_t port = 0;                // 0: any

  // `address` has 4 or 16 bytes. A v4-mapped address is to be asked about as the IPv4 one it means.
  [[nodiscard]] bool covers(bool is_v6, const std::uint8_t* address, std::uint16_t to_port) const;
  bool operator==(const AddressRule&) const = default;
};

// "10.0.0.0/8:443", "[fd00::/8]:443", with or without prefix length and port. Nothing for what is
// no number: a host's name, a Unix socket. A v4-mapped network is the IPv4 one.
std::optional<AddressRule> address_rule(std::string_view text);

}  // namespace moat::policies
