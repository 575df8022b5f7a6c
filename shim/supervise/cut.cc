#include "shim/supervise/cut.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <sstream>

#include "oci/sys.h"
#include "shim/supervise/connections.h"
#include "shim/supervise/network_hooks.h"
#include "shim/supervise/roles.h"

namespace moat::shim {

namespace {

constexpr int kMostTurns = 8;  // nothing new comes about, so the second one finds nothing
constexpr std::string_view kListen = "--listen", kOnce = "--once";

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

struct Socket {
  inet_diag_msg about{};
  std::uint64_t cgroup = 0;  // 0: of no process, as half-made and dying ones are
};

Request request_for(std::uint16_t type, std::uint8_t family) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  return request;
}

Status send(int diag, const Request& request) {
  const ssize_t sent = ::send(diag, &request, sizeof request, 0);
  if (sent != sizeof request) return fail_errno(errno, "asking for sockets");
  return {};
}

// Each message of one answer; stops at its end, or with the error it carries.
Status receive(int diag, const std::function<void(const nlmsghdr&)>& take) {
  alignas(nlmsghdr) std::array<char, 32U << 10> buffer;
  for (;;) {
    const ssize_t size = ::recv(diag, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return fail_errno(size < 0 ? errno : EPIPE, "listing sockets");
    auto left = static_cast<std::uint32_t>(size);
    for (auto* head = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(head, left);
         head = NLMSG_NEXT(head, left)) {
      if (head->nlmsg_type == NLMSG_DONE) return {};
      if (head->nlmsg_type != NLMSG_ERROR) {
        take(*head);
        continue;
      }
      const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(head));
      if (head->nlmsg_len < NLMSG_LENGTH(sizeof *error)) return fail_errno(EBADMSG, "netlink");
      if (error->error == 0) return {};
      return fail_errno(-error->error, "sockets");
    }
  }
}

Socket socket_of(const nlmsghdr& head) {
  Socket socket;
  if (head.nlmsg_len < NLMSG_LENGTH(sizeof socket.about)) return socket;
  const auto* about = static_cast<const inet_diag_msg*>(NLMSG_DATA(&head));
  socket.about = *about;
  auto left = static_cast<int>(head.nlmsg_len - NLMSG_LENGTH(sizeof *about));
  for (const auto* part = reinterpret_cast<const rtattr*>(about + 1); RTA_OK(part, left);
       part = RTA_NEXT(part, left))
    if (part->rta_type == INET_DIAG_CGROUP_ID && RTA_PAYLOAD(part) >= sizeof socket.cgroup)
      std::memcpy(&socket.cgroup, RTA_DATA(part), sizeof socket.cgroup);
  return socket;
}

Result<std::vector<Socket>> sockets(int diag) {
  std::vector<Socket> all;
  for (const std::uint8_t family : std::array<std::uint8_t, 2>{AF_INET, AF_INET6}) {
    Request request = request_for(SOCK_DIAG_BY_FAMILY, family);
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.idiag_states = ~(1U << TCP_TIME_WAIT);
    if (auto sent = send(diag, request); !sent) return fail(std::move(sent.error()));
    auto listed = receive(diag, [&](const nlmsghdr& head) { all.push_back(socket_of(head)); });
    // A kernel without version 6 has no such list.
    if (!listed && !(family == AF_INET6 && listed.error().err == ENOENT))
      return fail(std::move(listed.error()));
  }
  return all;
}

Status destroy(int diag, const inet_diag_msg& about) {
  Request request = request_for(SOCK_DESTROY, about.idiag_family);
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.body.idiag_states = 1U << about.idiag_state;
  request.body.id = about.id;
  if (auto sent = send(diag, request); !sent) return sent;
  auto done = receive(diag, [](const nlmsghdr&) {});
  if (!done && done.error().err == ENOENT) return {};  // it went by itself
  return done;
}

policies::NetworkRecord remote_of(const inet_diag_msg& about) {
  const bool v6 = about.idiag_family == AF_INET6;
  std::array<std::uint32_t, 4> ip{};
  std::memcpy(ip.data(), about.id.idiag_dst, v6 ? 16 : 4);
  return remote_record(ip, ntohs(about.id.idiag_dport), v6);
}

// Who holds which, for people: what is only in a message on its way is nobody's.
std::map<std::uint64_t, std::string> holders(const std::string& folder) {
  std::map<std::uint64_t, std::string> all;
  std::size_t left = 8192;  // descriptors looked at
  std::istringstream members(oci::read_file(folder + "/cgroup.procs").value_or(""));
  for (std::string pid; members >> pid;) {
    std::set<std::uint64_t> inodes;
    add_sockets(std::atoi(pid.c_str()), left, inodes);
    std::string comm = oci::read_file("/proc/" + pid + "/comm", 64).value_or("");
    if (!comm.empty()) comm.pop_back();
    for (const std::uint64_t inode : inodes)
      all.try_emplace(inode, " (" + comm + ", pid " + pid + ")");
  }
  return all;
}

// Without the kernel's list: what is in a process's table is seen at least, and must not stay.
Status look_by_hand(pid_t init, const std::string& folder, const policies::NetworkRules& rules,
                    const Error& why) {
  std::vector<pid_t> members;
  std::istringstream pids(oci::read_file(folder + "/cgroup.procs").value_or(""));
  for (pid_t pid = 0; pids >> pid;) members.push_back(pid);
  const auto left = connections_left(init, members, rules);
  if (left.empty()) return {};
  return fail(Code::Unimplemented, "the connection to " + left.front() +
                                       " cannot be cut, and is not allowed any more: " + why.what);
}

Status cut(pid_t pid, std::uint64_t start_time, const std::string& folder, const CutOrder& order) {
  const auto ns = oci::open_file("/proc/" + std::to_string(pid) + "/ns/net", O_RDONLY);
  if (!ns) return fail(Error(ns.error()));
  if (oci::start_time_of(pid) != start_time)
    return fail(Code::NotFound, "the container's init is gone");
  if (::setns(ns->raw(), CLONE_NEWNET) != 0)
    return fail_errno(errno, "entering the network namespace");
  const auto gone = cut_connections(cgroups_below(folder), order);
  if (!gone && gone.error().code == Code::Unimplemented)
    return look_by_hand(pid, folder, order.rules, gone.error());
  if (!gone) return fail(Error(gone.error()));
  const auto known = gone->empty() ? std::map<std::uint64_t, std::string>() : holders(folder);
  for (const Cut& one : *gone) {
    const auto holder = known.find(one.inode);
    std::printf("%s%s\n", one.to.c_str(), holder == known.end() ? "" : holder->second.c_str());
  }
  return {};
}

bool stays(const CutOrder& order, const policies::NetworkRecord& remote, bool at_served_port) {
  if (is_allowed(order.rules, remote)) return true;
  policies::NetworkRules elsewhere;
  elsewhere.reachable = order.once;
  return at_served_port && !is_allowed(elsewhere, remote);
}

}  // namespace

Result<std::vector<Cut>> cut_connections(const std::set<std::uint64_t>& cgroups,
                                         const CutOrder& order) {
  const UniqueFd diag(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!diag.valid()) return fail_errno(errno, "sock_diag");
  std::vector<Cut> gone;
  for (int turn = 0; turn < kMostTurns; ++turn) {
    const auto all = sockets(diag.raw());
    if (!all) return fail(Code::Unimplemented, all.error().what);
    std::set<std::uint16_t> served;
    for (const Socket& socket : *all)
      if (order.rules.listen && socket.about.idiag_state == TCP_LISTEN &&
          cgroups.contains(socket.cgroup))
        served.insert(socket.about.id.idiag_sport);
    std::size_t found = 0;
    for (const Socket& socket : *all) {
      if (socket.about.idiag_state == TCP_LISTEN || !cgroups.contains(socket.cgroup)) continue;
      const policies::NetworkRecord remote = remote_of(socket.about);
      if (stays(order, remote, served.contains(socket.about.id.idiag_sport))) continue;
      ++found;
      if (auto done = destroy(diag.raw(), socket.about); !done)
        return fail(std::move(done.error())
                        .in("the connection to " + policies::address_text(remote) +
                            " cannot be cut, and is not allowed any more"));
      gone.push_back({policies::address_text(remote), socket.about.idiag_inode});
    }
    if (found == 0) return gone;
  }
  return fail(Code::Unavailable, "connections come about as fast as they are cut");
}

std::set<std::uint64_t> cgroups_below(const std::string& folder) {
  std::set<std::uint64_t> ids;
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return ids;
  ids.insert(status.st_ino);  // which is the id that the kernel tells
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name.starts_with('.') || name == kSessions) continue;
    ids.merge(cgroups_below(folder + "/" + std::string(name)));
  }
  return ids;
}

std::vector<std::string> cut_words(const std::vector<policies::NetworkRules>& phases,
                                   std::size_t next) {
  std::vector<std::string> words;
  const auto add = [&](const policies::NetworkRules& rules) {
    for (const std::string& address : rules.addresses)
      if (policies::address_rule(address)) words.push_back(address);
  };
  if (phases[next].listen) words.emplace_back(kListen);
  add(phases[next]);
  words.emplace_back(kOnce);
  for (std::size_t i = 0; i < phases.size(); ++i)
    if (i != next && !phases[i].any) add(phases[i]);
  return words;
}

CutOrder cut_order(const std::vector<std::string>& words) {
  CutOrder order;
  bool once = false;
  for (const std::string& word : words) {
    if (word == kListen) order.rules.listen = true;
    if (word == kOnce) once = true;
    if (const auto rule = policies::address_rule(word))
      (once ? order.once : order.rules.reachable).push_back(*rule);
  }
  return order;
}

int cut_main(int argc, char** argv) {
  if (argc < 5) return 2;
  const Status status = cut(std::atoi(argv[2]), std::strtoull(argv[3], nullptr, 10), argv[4],
                            cut_order({argv + 5, argv + argc}));
  if (status) return 0;
  std::fputs(status.error().what.c_str(), stdout);
  return 1;
}

}  // namespace moat::shim
