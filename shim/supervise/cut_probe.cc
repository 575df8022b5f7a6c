#include "shim/supervise/cut_probe.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "oci/fd.h"
#include "oci/sys.h"
#include "shim/cgroups/cgroup.h"
#include "shim/supervise/cut.h"

namespace moat::shim {

namespace {

// The version 2 cgroup we are in, which may be the root.
std::string own_folder() {
  const std::string groups = oci::read_file("/proc/self/cgroup").value_or("");
  const std::size_t at = groups.find("0::/");
  if (at == std::string::npos) return {};
  const std::string path = groups.substr(at + 3, groups.find('\n', at) - at - 3);
  const std::string root(kCgroupRoot);
  struct stat status {};
  const bool pure = ::stat((root + "/cgroup.controllers").c_str(), &status) == 0;
  return root + (pure ? "" : "/unified") + path;
}

bool bring_up_loopback(int socket) {
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

Status cut_own_connection() {
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "a network of one's own");
  const UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!bring_up_loopback(server.raw()) || ::bind(server.raw(), generic, length) != 0 ||
      ::listen(server.raw(), 1) != 0 || ::getsockname(server.raw(), generic, &length) != 0 ||
      ::connect(client.raw(), generic, length) != 0)
    return fail_errno(errno, "a connection of one's own");
  const auto gone = cut_connections(cgroups_below(own_folder()), {});
  if (!gone) return fail(Error(gone.error()));
  if (!gone->empty() && ::send(client.raw(), "x", 1, MSG_NOSIGNAL) < 0) return {};
  return fail(Code::Unavailable, "a connection that was cut still carries data");
}

}  // namespace moat::shim
