#include "shim/supervise/decode.h"

#include <arpa/inet.h>
#include <linux/audit.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace moat::shim {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kAuditArch = AUDIT_ARCH_X86_64;
constexpr policies::Arch kArch = policies::Arch::X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
constexpr policies::Arch kArch = policies::Arch::Arm64;
#else
#error "moat runs on x86-64 and arm64"
#endif
constexpr int kX32Bit = 0x40000000;

std::string unix_text(std::string_view bytes) {
  constexpr std::size_t kHead = offsetof(sockaddr_un, sun_path);
  if (bytes.size() <= kHead) return "unix:";
  std::string_view path = bytes.substr(kHead);
  if (path.front() == '\0') return "unix:@" + std::string(path.substr(1));
  return "unix:" + std::string(path.substr(0, path.find('\0')));
}

}  // namespace

std::string address_text(std::string_view bytes) {
  sa_family_t family = AF_UNSPEC;
  if (bytes.size() < sizeof family) return {};
  std::memcpy(&family, bytes.data(), sizeof family);
  char text[INET6_ADDRSTRLEN] = {};
  if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, bytes.data(), sizeof in);
    ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  if (family == AF_INET6 && bytes.size() >= offsetof(sockaddr_in6, sin6_scope_id)) {
    sockaddr_in6 in{};
    std::memcpy(&in, bytes.data(), std::min(bytes.size(), sizeof in));
    ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(in.sin6_port));
  }
  if (family == AF_UNIX) return unix_text(bytes);
  return "family " + std::to_string(family);
}

const policies::SyscallRow* row_of(const seccomp_notif& question) {
  if (question.data.arch != kAuditArch || (question.data.nr & kX32Bit) != 0) return nullptr;
  return policies::find_syscall(kArch, question.data.nr);
}

bool has_claims(const policies::SyscallRow& row) {
  using policies::Arg;
  return std::ranges::any_of(row.args, [](Arg role) {
    return role == Arg::Path || role == Arg::Name || role == Arg::Argv || role == Arg::SockAddr ||
           role == Arg::OpenHow;
  });
}

policies::CallFacts facts_of(const policies::SyscallRow& row, const seccomp_notif& question,
                             const Claims* claims) {
  policies::CallFacts facts;
  facts.call = &row;
  std::copy(std::begin(question.data.args), std::end(question.data.args), facts.args.begin());
  if (claims == nullptr) return facts;
  facts.claimed_path = claims->resolved ? claims->resolved : claims->path;
  facts.claimed_path2 = claims->resolved2 ? claims->resolved2 : claims->path2;
  if (!claims->sockaddr.empty()) facts.claimed_address = address_text(claims->sockaddr);
  facts.claimed_open_flags = claims->open_flags;
  facts.unreadable = claims->unreadable;
  return facts;
}

}  // namespace moat::shim
