#include "shim/supervise/connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <set>
#include <sstream>

#include "oci/sys.h"
#include "policies/network_program.h"

namespace moat::shim {

namespace {

constexpr std::size_t kMaxLinks = 8192;  // descriptors looked at
constexpr unsigned kEstablished = 0x01, kListens = 0x0a;

template <class T>
T number(std::string_view text, int base) {
  T value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

struct End {
  std::array<std::uint32_t, 4> ip{};  // as the kernel has it: network order
  std::uint16_t port = 0;
};

// "0100007F:1F90": words of the address as numbers of this machine.
End end_of(std::string_view text) {
  End end;
  const std::size_t colon = std::min(text.find(':'), text.size());
  for (std::size_t i = 0; i < end.ip.size() && (i + 1) * 8 <= colon; ++i)
    end.ip[i] = number<std::uint32_t>(text.substr(i * 8, 8), 16);
  if (colon < text.size()) end.port = number<std::uint16_t>(text.substr(colon + 1), 16);
  return end;
}

struct Row {
  End local, remote;
  unsigned state = 0;
  std::uint64_t inode = 0;
};

std::vector<Row> rows_of(std::string_view table) {
  std::vector<Row> rows;
  std::istringstream lines{std::string(table)};
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::array<std::string, 10> word;
    for (std::string& one : word) words >> one;
    rows.push_back({end_of(word[1]), end_of(word[2]), number<unsigned>(word[3], 16),
                    number<std::uint64_t>(word[9], 10)});
  }
  return rows;
}

}  // namespace

policies::NetworkRecord remote_record(const std::array<std::uint32_t, 4>& ip, std::uint16_t port,
                                      bool v6) {
  policies::NetworkRecord record;
  record.family = v6 ? AF_INET6 : AF_INET;
  record.port = htons(port);
  record.ip = ip;
  if (v6 && ip[0] == 0 && ip[1] == 0 && ip[2] == htonl(0xffff)) {
    record.family = AF_INET;
    record.ip = {ip[3]};
  }
  return record;
}

bool is_allowed(const policies::NetworkRules& network, const policies::NetworkRecord& record) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), record.ip.data(), bytes.size());
  const std::uint16_t port = ntohs(static_cast<std::uint16_t>(record.port));
  return network.any || std::ranges::any_of(network.reachable, [&](const auto& rule) {
           return rule.covers(record.family == AF_INET6, bytes.data(), port);
         });
}

void add_sockets(pid_t pid, std::size_t& left, std::set<std::uint64_t>& inodes) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (!dir) return;
  constexpr std::string_view kPrefix = "socket:[";
  while (const dirent* entry = ::readdir(dir.get())) {
    if (left == 0 || entry->d_name[0] == '.') continue;
    --left;
    std::array<char, 64> target{};
    const ssize_t size = ::readlinkat(::dirfd(dir.get()), entry->d_name, target.data(), 63);
    const std::string_view name(target.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    if (name.starts_with(kPrefix))
      inodes.insert(number<std::uint64_t>(name.substr(kPrefix.size()), 10));
  }
}

std::vector<Connection> outgoing(std::string_view table, bool v6,
                                 const policies::NetworkRules& network) {
  const std::vector<Row> rows = rows_of(table);
  std::set<std::uint16_t> served;
  for (const Row& row : rows)
    if (row.state == kListens) served.insert(row.local.port);
  std::vector<Connection> connections;
  for (const Row& row : rows) {
    if (row.state != kEstablished || served.contains(row.local.port)) continue;
    const policies::NetworkRecord record = remote_record(row.remote.ip, row.remote.port, v6);
    if (!is_allowed(network, record))
      connections.push_back({policies::address_text(record), row.inode});
  }
  return connections;
}

std::vector<std::string> connections_left(pid_t init, const std::vector<pid_t>& processes,
                                          const policies::NetworkRules& network) {
  std::vector<Connection> all;
  for (const bool v6 : {false, true}) {
    const std::string file = "/proc/" + std::to_string(init) + (v6 ? "/net/tcp6" : "/net/tcp");
    const auto table = oci::read_file(file);
    if (!table) continue;
    auto some = outgoing(*table, v6, network);
    all.insert(all.end(), some.begin(), some.end());
  }
  if (all.empty()) return {};
  std::set<std::uint64_t> held;
  std::size_t left = kMaxLinks;
  for (const pid_t pid : processes) add_sockets(pid, left, held);
  std::vector<std::string> mine;
  for (const Connection& connection : all)
    if (held.contains(connection.inode)) mine.push_back(connection.to);
  return mine;
}

}  // namespace moat::shim
