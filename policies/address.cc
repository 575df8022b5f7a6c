#include "policies/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <string>

namespace moat::policies {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kMappedBits = 96, kV4Bits = 32, kV6Bits = 128;

std::optional<unsigned> number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || value > most) return {};
  return value;
}

std::uint8_t mask_of(std::size_t index, unsigned prefix) {
  const auto before = static_cast<unsigned>(index) * 8;
  if (prefix >= before + 8) return 0xff;
  return prefix <= before ? std::uint8_t{0}
                          : static_cast<std::uint8_t>(0xff00U >> (prefix - before));
}

std::optional<AddressRule> network(std::string_view text, bool v6) {
  AddressRule rule;
  rule.v6 = v6;
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  if (inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), rule.bytes.data()) != 1) return {};
  const unsigned most = v6 ? kV6Bits : kV4Bits;
  const auto prefix = slash == std::string_view::npos ? most : number(text.substr(slash + 1), most);
  if (!prefix) return {};
  rule.prefix = static_cast<std::uint8_t>(*prefix);
  for (std::size_t i = 0; i < rule.bytes.size(); ++i) rule.bytes[i] &= mask_of(i, *prefix);
  if (!v6 || *prefix < kMappedBits || !std::ranges::equal(kMapped, std::span(rule.bytes).first(12)))
    return rule;
  AddressRule plain;
  std::ranges::copy(std::span(rule.bytes).last(4), plain.bytes.begin());
  plain.prefix = static_cast<std::uint8_t>(*prefix - kMappedBits);
  return plain;
}

}  // namespace

bool AddressRule::covers(bool is_v6, const std::uint8_t* address, std::uint16_t to_port) const {
  if (is_v6 != v6 || (port != 0 && port != to_port)) return false;
  for (std::size_t i = 0; i < (v6 ? 16U : 4U); ++i)
    if ((address[i] & mask_of(i, prefix)) != bytes[i]) return false;
  return true;
}

std::optional<AddressRule> address_rule(std::string_view text) {
  const bool v6 = text.starts_with('[');
  const std::size_t close = v6 ? text.find(']') : 0;
  if (close == std::string_view::npos) return {};
  const std::size_t colon = text.find(':', close);
  auto rule = v6 ? network(text.substr(1, close - 1), true) : network(text.substr(0, colon), false);
  if (!rule || colon == std::string_view::npos) return rule;
  const auto port = number(text.substr(colon + 1), 65535);
  if (!port) return {};
  rule->port = static_cast<std::uint16_t>(*port);
  return rule;
}

}  // namespace moat::policies
