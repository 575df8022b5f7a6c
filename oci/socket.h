// AF_UNIX sockets: listening, connecting, peers, and passing descriptors.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::oci {

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// `type`: SOCK_STREAM or SOCK_SEQPACKET. The path must fit sun_path (107 bytes); the error says so.
Result<UniqueFd> listen_unix(const std::string& path, int type, mode_t mode);
Result<UniqueFd> connect_unix(const std::string& path, int type);
Result<UniqueFd> accept_unix(int listener);  // non-blocking, CLOEXEC
Result<std::pair<UniqueFd, UniqueFd>> socket_pair(int type);
Result<Peer> peer_of(int socket);

struct Packet {
  std::string data;
  std::vector<UniqueFd> fds;
  bool closed = false;  // the other end is gone
};

// One message with its descriptors. receive() does not block on a non-blocking socket
// (Unavailable); a cut message or too many descriptors is an error and closes what came.
Status send_packet(int socket, std::string_view data, const std::vector<int>& fds);
Result<Packet> receive_packet(int socket, std::size_t limit);

}  // namespace moat::oci
