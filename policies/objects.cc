#include "policies/objects.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

#include "policies/nearest.h"
#include "policies/sets.h"
#include "policies/text.h"

namespace moat::policies {
namespace {

template <class... Args>
tl::unexpected<Error> wrong(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::InvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

bool is_number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size() && value <= most;
}

bool is_ip(const std::string& text, int family) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(family, text.c_str(), bytes) == 1;
}

bool is_host(std::string_view text) {
  if (text.empty() || text.size() > 253 || text.front() == '-' || text.front() == '.') return false;
  const bool digits = text.find_first_not_of("0123456789.") == std::string_view::npos;
  return !digits && text.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == std::string_view::npos;
}

// An address, with a prefix length or without.
bool is_net(std::string_view text, int family) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  const unsigned most = family == AF_INET ? 32 : 128;
  return is_ip(address, family) &&
         (slash == std::string_view::npos || is_number(text.substr(slash + 1), most));
}

Status check_set(Action action, std::string_view name, bool quiet) {
  const NamedSet* set = find_set(name);
  const auto names = set_names(action);
  if (set == nullptr) return wrong("unknown set '{}'{}", printable(name), suggest(name, names));
  if (action != Action::NetworkAccess) {
    if (!set->content.empty()) return {};
  } else if (set->network == NamedSet::Network::Allow ||
             (quiet && set->network != NamedSet::Network::None)) {
    return {};
  } else if (set->network == NamedSet::Network::QuietOnly) {
    return wrong("'{}' can only be quiet: nothing can check it soundly yet", name);
  }
  return wrong("'{}' means nothing for {}{}", name, to_string(action), suggest("", names));
}

}  // namespace

bool takes_objects(Action action) {
  switch (action) {
    case Action::FilesystemRead:
    case Action::FilesystemModify:
    case Action::FilesystemExec:
    case Action::DeviceAccess:
    case Action::NetworkAccess:
    case Action::ProcessExec:
      return true;
    case Action::ProcessCreate:
    case Action::ProcessThread:
    case Action::ProcessCross:
    case Action::ProcessContext:
    case Action::SystemInfo:
    case Action::SystemControl:
      return false;
  }
  return false;
}

Status check_path(std::string_view path, bool globs) {
  if (path.size() > kMaxObject)
    return wrong("a path of {} bytes; at most {}", path.size(), kMaxObject);
  if (path.starts_with('~') && path != "~" && !path.starts_with("~/"))
    return wrong("'{}': '~' is the container's home and is followed by '/'", printable(path));
  if (!path.starts_with('/') && !path.starts_with('~'))
    return wrong("'{}' is not an absolute path (begin it with '/' or '~/')", printable(path));
  if (!globs && path.find_first_of("*?") != std::string_view::npos)
    return wrong("'{}' must name one place, without '*' and '?'", printable(path));
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part == "." || part == "..")
      return wrong("'{}' holds '{}'; write the path it leads to", printable(path), part);
    if (part != "**" && part.find("**") != std::string_view::npos)
      return wrong("'{}': '**' stands for whole components, as in '/a/**/b'", printable(path));
    at = end + 1;
  }
  return {};
}

Status check_address(std::string_view address) {
  if (address == kAnyUnix) return {};
  if (address.starts_with("unix:")) {
    const std::string_view path = address.substr(5);
    if (path.starts_with('@') && path.size() > 1) return {};
    auto ok = check_path(path, true);
    if (!ok) return fail(std::move(ok.error()));
    return {};
  }
  const bool bracket = address.starts_with('[');
  const std::size_t close = bracket ? address.find(']') : 0;
  const std::size_t colon = close == std::string_view::npos ? close : address.find(':', close);
  const std::string_view host =
      bracket ? address.substr(1, close == std::string_view::npos ? close : close - 1)
              : address.substr(0, colon);
  const bool gap = bracket && close != std::string_view::npos && colon != close + 1 &&
                   close + 1 != address.size();
  const bool port = colon == std::string_view::npos || is_number(address.substr(colon + 1), 65535);
  const bool good = bracket ? close != std::string_view::npos && is_net(host, AF_INET6)
                            : is_net(host, AF_INET) || is_host(host);
  if (good && port && !gap) return {};
  return wrong(
      "'{}' is not an address (10.0.0.0/8:443, [fd00::/8]:443, name:80, unix:/run/x.sock, "
      "unix:*, @listen or *)",
      printable(address));
}

Status check_object(Action action, std::string_view object, bool quiet) {
  if (object.size() > kMaxObject)
    return wrong("an object of {} bytes; at most {}", object.size(), kMaxObject);
  if (object == "+") return wrong("'+' adds to the inherited list and stands first in it");
  if (object.starts_with('@')) return check_set(action, object, quiet);
  if (action != Action::NetworkAccess) return check_path(object, true);
  if (quiet && !object.starts_with("unix:/"))
    return wrong("'{}' cannot be quiet; unix:/path and @resolver can", printable(object));
  if (object == "*") return {};
  return check_address(object);
}

std::string normal_path(std::string_view path) {
  std::string out;
  for (char c : path)
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

}  // namespace moat::policies
