#include "oci/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace moat::oci {

namespace {

constexpr std::size_t kMaxFds = 8;  // more than any message of ours or a runtime's carries

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::InvalidArgument,
                "socket path is " + std::to_string(path.size()) +
                    " bytes long, the kernel takes 107; use a shorter folder: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

Result<UniqueFd> listen_unix(const std::string& path, int type, mode_t mode) {
  auto address = address_of(path);
  if (!address) return fail(std::move(address.error()));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno(errno, "socket");
  if (::bind(fd.raw(), reinterpret_cast<sockaddr*>(&*address), sizeof *address) != 0)
    return fail_errno(errno, "bind " + path);
  if (::chmod(path.c_str(), mode) != 0 || ::listen(fd.raw(), 128) != 0)
    return fail_errno(errno, "listen " + path);
  return fd;
}

Result<UniqueFd> connect_unix(const std::string& path, int type) {
  auto address = address_of(path);
  if (!address) return fail(std::move(address.error()));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "socket");
  if (::connect(fd.raw(), reinterpret_cast<sockaddr*>(&*address), sizeof *address) != 0)
    return fail_errno(errno, "connect " + path);
  return fd;
}

Result<UniqueFd> accept_unix(int listener) {
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return fail_errno(errno, "accept");
  return fd;
}

Result<std::pair<UniqueFd, UniqueFd>> socket_pair(int type) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0)
    return fail_errno(errno, "socketpair");
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return fail_errno(errno, "SO_PEERCRED");
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

Status send_packet(int socket, std::string_view data, const std::vector<int>& fds) {
  if (fds.size() > kMaxFds) return fail(Code::InvalidArgument, "too many descriptors");
  iovec part{const_cast<char*>(data.data()), data.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t n = 0;
  do {
    n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno(errno, "sendmsg");
  if (static_cast<std::size_t>(n) != data.size()) return fail(Code::Internal, "message was cut");
  return {};
}

namespace {

// A message is a few hundred bytes and may be a policy: only what is there is made room for, zeroed
// and resident from then on. A stream does not tell what is there, and has no messages to cut.
std::size_t room_for_next(int socket, std::size_t limit) {
  constexpr std::size_t kUsual = 16U << 10;
  const ssize_t waiting = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC);
  return std::min(limit, waiting > 0 ? static_cast<std::size_t>(waiting) : kUsual);
}

}  // namespace

Result<Packet> receive_packet(int socket, std::size_t limit) {
  Packet packet;
  packet.data.resize(room_for_next(socket, limit));
  iovec part{packet.data.data(), packet.data.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return fail(Code::Unavailable, "no message");
  if (n < 0) return fail_errno(errno, "recvmsg");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0)
    return fail(Code::InvalidArgument, "message or its descriptors were cut");
  packet.closed = n == 0 && packet.fds.empty();
  packet.data.resize(static_cast<std::size_t>(n));
  return packet;
}

}  // namespace moat::oci
