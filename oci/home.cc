// The home of the container's process: what `~` stands for in a policy.
#include <algorithm>
#include <array>

#include "oci/container_path.h"
#include "oci/rootfs.h"

namespace moat::oci {
namespace {

constexpr std::size_t kMaxPasswd = 1U << 20;  // real ones have a few KiB

// name:password:uid:gid:comment:home:shell
std::string home_in(std::string_view passwd, std::uint32_t uid) {
  for (std::size_t at = 0; at < passwd.size();) {
    const std::size_t end = std::min(passwd.find('\n', at), passwd.size());
    std::array<std::string_view, 6> fields{};
    std::string_view line = passwd.substr(at, end - at);
    for (std::string_view& field : fields) {
      const std::size_t colon = std::min(line.find(':'), line.size());
      field = line.substr(0, colon);
      line.remove_prefix(std::min(colon + 1, line.size()));
    }
    if (fields[2] == std::to_string(uid)) return std::string(fields[5]);
    at = end + 1;
  }
  return "";
}

}  // namespace

// An image may bring any file under this name, or none: the runtime falls back to "/" as well.
std::string home_of(int root, const Spec& spec) {
  if (const auto home = spec.env("HOME"); home && !home->empty())
    if (auto path = clean_path(*home)) return *path;
  if (auto passwd = read_in_root(root, "etc/passwd", kMaxPasswd))
    if (auto path = clean_path(home_in(*passwd, spec.uid()))) return *path;
  return "/";
}

}  // namespace moat::oci
