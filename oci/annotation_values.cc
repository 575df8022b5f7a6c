#include "oci/annotation_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <optional>

#include "oci/container_path.h"
#include "policies/nearest.h"
#include "policies/objects.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kDigits = "0123456789";

tl::unexpected<Error> bad(std::string_view value, std::string_view why) {
  return fail(Code::InvalidArgument, "'" + policies::printable(value) + "' " + std::string(why));
}

tl::unexpected<Error> not_one_of(std::string_view value, policies::Words words) {
  return fail(Code::InvalidArgument, policies::not_one_of(value, words));
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool consists_of(std::string_view text, std::string_view more) {
  return std::ranges::all_of(text, [more](char c) {
    return kLower.find(c) != std::string_view::npos || kDigits.find(c) != std::string_view::npos ||
           more.find(c) != std::string_view::npos;
  });
}

std::optional<std::uint32_t> whole_number(std::string_view text, std::uint32_t most) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number >= 1 && number <= most ? std::optional(number) : std::nullopt;
}

// A comma list; items are stripped of spaces, must not be empty and are kept once.
template <class T>
Result<std::vector<T>> list(std::string_view value,
                            const std::function<Result<T>(std::string_view)>& item) {
  std::vector<T> all;
  for (std::size_t at = 0; at <= value.size();) {
    const std::size_t comma = std::min(value.find(',', at), value.size());
    const std::string_view text = trimmed(value.substr(at, comma - at));
    if (text.empty()) return fail(Code::InvalidArgument, "has an empty item between its commas");
    auto parsed = item(text);
    if (!parsed) return fail(std::move(parsed.error()));
    if (std::ranges::find(all, *parsed) == all.end()) all.push_back(std::move(*parsed));
    if (all.size() > kMaxItems)
      return fail(Code::InvalidArgument, "has more than " + std::to_string(kMaxItems) + " items");
    at = comma + 1;
  }
  return all;
}

// How an address is written is judged here; whether it may be used is the policy's business.
Result<std::string> value_address(std::string_view value) {
  if (auto status = policies::check_address(value); !status) return fail(std::move(status.error()));
  return std::string(value);
}

Result<std::string> value_container(std::string_view value) {
  if (value.size() > 63 || !consists_of(value, "-"))
    return bad(value, "is not a container's name (lower-case letters, digits and '-')");
  return std::string(value);
}

}  // namespace

Status check_value(std::string_view value) {
  if (value.empty()) return fail(Code::InvalidArgument, "is empty: leave the annotation out");
  if (value.size() > kMaxAnnotation)
    return fail(Code::InvalidArgument, "is " + std::to_string(value.size()) +
                                           " bytes long, the limit is " +
                                           std::to_string(kMaxAnnotation));
  if (!is_plain(value))
    return fail(Code::InvalidArgument, "has control characters (a line's end is one) or no UTF-8");
  return {};
}

Result<policies::Mode> value_mode(std::string_view value) {
  static constexpr std::array<std::string_view, 4> kAudit{"complain", "permissive", "dryrun",
                                                          "monitor"};
  if (std::ranges::find(kAudit, value) != kAudit.end()) return policies::Mode::Audit;
  if (const auto mode = policies::mode_from(value)) return *mode;
  static constexpr std::array<std::string_view, 4> kModes{"off", "audit", "learn", "enforce"};
  return not_one_of(value, kModes);
}

Result<policies::Sessions> value_sessions(std::string_view value) {
  if (const auto sessions = policies::sessions_from(value)) return *sessions;
  static constexpr std::array<std::string_view, 3> kSessions{"allow", "audit", "deny"};
  return not_one_of(value, kSessions);
}

Result<std::string> value_profile(std::string_view value) {
  const std::size_t slash = value.find('/');
  const std::string_view from =
      slash == std::string_view::npos ? "builtin" : value.substr(0, slash);
  const std::string_view name = slash == std::string_view::npos ? value : value.substr(slash + 1);
  // The name becomes part of a file's name on the node.
  if ((from != "builtin" && from != "node") || name.empty() || name.size() > 63 ||
      name.front() == '.' || !consists_of(name, "._-"))
    return bad(value, "is not a profile's name: 'python', 'builtin/python' or 'node/NAME'");
  return std::string(from) + "/" + std::string(name);
}

Result<std::string> value_sha256(std::string_view value) {
  std::string digest(value);
  for (char& c : digest)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos)
    return bad(value, "is not 64 hexadecimal digits");
  return digest;
}

Result<std::string> value_path(std::string_view value) {
  auto path = clean_path(value);
  if (!path) return bad(value, path.error().what);
  if (*path == "/") return bad(value, "is the whole container: name a folder");
  if (path->find_first_of("*?[") != std::string::npos)
    return bad(value, "has a wildcard: name the folder itself");
  return path;
}

Result<std::vector<std::string>> value_paths(std::string_view value) {
  return list<std::string>(value, value_path);
}

Result<std::vector<std::uint16_t>> value_ports(std::string_view value) {
  if (value == "listen") return std::vector<std::uint16_t>{};
  if (value.starts_with("listen:")) value.remove_prefix(7);
  return list<std::uint16_t>(value, [](std::string_view text) -> Result<std::uint16_t> {
    const auto port = whole_number(text, 65535);
    if (!port) return bad(text, "is not a port: write '8000', '8000,8001' or 'listen' for any");
    return static_cast<std::uint16_t>(*port);
  });
}

Result<std::string> value_reload(std::string_view value) {
  if (value == "deny" || value == "allow") return std::string(value);
  std::string_view seconds = value;
  if (seconds.starts_with("window=") && seconds.ends_with('s')) {
    seconds.remove_prefix(7);
    seconds.remove_suffix(1);
    if (whole_number(seconds, 86400)) return std::string(value);
  }
  return bad(value, "is not 'deny', 'allow' or 'window=60s'");
}

Result<std::string> value_rate(std::string_view value) {
  if (value.ends_with("/s") && whole_number(value.substr(0, value.size() - 2), 100000))
    return std::string(value);
  return bad(value, "is not a rate like '50/s' (1 to 100000)");
}

Result<std::string> value_failure_policy(std::string_view value) {
  static constexpr std::array<std::string_view, 2> kPolicies{"closed", "open"};
  if (std::ranges::find(kPolicies, value) != kPolicies.end()) return std::string(value);
  return not_one_of(value, kPolicies);
}

Result<std::vector<std::string>> value_containers(std::string_view value) {
  return list<std::string>(value, value_container);
}

Result<std::vector<std::string>> value_addresses(std::string_view value) {
  return list<std::string>(value, value_address);
}

}  // namespace moat::oci
