// The reading part of tracee.h: pointers of a waiting caller, and where its paths lead.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "oci/sys.h"
#include "shim/supervise/process.h"
#include "shim/supervise/tracee.h"

namespace moat::shim {

namespace {

using policies::Arg;

constexpr std::size_t kPage = 4096;

// Reads up to `limit` bytes; stops at the first unreadable page. Empty: nothing was readable.
std::string read_memory(pid_t tid, std::uint64_t address, std::size_t limit) {
  std::string out(limit, '\0');
  std::size_t have = 0;
  while (have < limit) {
    // Never across a page: a hole in the next one must not cost what this one holds.
    const std::size_t room = kPage - ((address + have) % kPage);
    const std::size_t want = std::min(room, limit - have);
    iovec local{out.data() + have, want};
    iovec remote{reinterpret_cast<void*>(address + have), want};
    const ssize_t n = ::process_vm_readv(tid, &local, 1, &remote, 1, 0);
    if (n <= 0) break;
    have += static_cast<std::size_t>(n);
  }
  out.resize(have);
  return out;
}

std::optional<std::string> read_text(pid_t tid, std::uint64_t address, std::size_t limit) {
  std::string out;
  while (out.size() < limit) {
    const std::size_t room = kPage - ((address + out.size()) % kPage);
    const std::string part =
        read_memory(tid, address + out.size(), std::min(room, limit - out.size()));
    if (part.empty()) return std::nullopt;
    const std::size_t end = part.find('\0');
    if (end != std::string::npos) return out + part.substr(0, end);
    out += part;
  }
  return std::nullopt;  // no end within the kernel's limit: the call would fail as well
}

std::vector<std::string> read_argv(pid_t tid, std::uint64_t address) {
  std::vector<std::string> argv;
  for (std::size_t i = 0; i < kMaxArgs; ++i) {
    const std::string raw = read_memory(tid, address + i * 8, 8);
    std::uint64_t pointer = 0;
    if (raw.size() != sizeof pointer) break;
    std::memcpy(&pointer, raw.data(), sizeof pointer);
    if (pointer == 0) break;
    std::string word = read_memory(tid, pointer, kMaxArgBytes);
    word.resize(std::min(word.size(), word.find('\0')));
    argv.push_back(std::move(word));
  }
  return argv;
}

std::string link_of(const std::string& path) {
  std::string out(kMaxPath, '\0');
  const ssize_t n = ::readlink(path.c_str(), out.data(), out.size());
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

std::string normalised(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, end - at);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string& part : parts) out += "/" + part;
  return out.empty() ? "/" : out;
}

std::string base_of(pid_t tid, std::optional<std::uint64_t> dirfd) {
  const std::string proc = "/proc/" + std::to_string(tid);
  const auto number =
      static_cast<std::int32_t>(dirfd.value_or(static_cast<std::uint64_t>(AT_FDCWD)));
  return below_root(
      link_of(number == AT_FDCWD ? proc + "/cwd" : proc + "/fd/" + std::to_string(number)),
      root_of(tid));
}

constexpr int kMaxLinks = 40;                 // the kernel's own limit
constexpr auto kElsewhere = "elsewhere by ";  // in no set of places

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What a descriptor stands for, when `path` names one: an object's path, or nothing for pipes and
// sockets. Another process's is looked at as the caller would.
std::string behind_descriptor(pid_t tid, std::string_view path) {
  constexpr std::string_view kFd = "/fd/";
  const std::size_t last = path.rfind('/');
  if (last == std::string_view::npos || !is_number(path.substr(last + 1))) return {};
  const std::string_view number = path.substr(last + 1);
  const std::string_view head = path.substr(0, last + 1);
  std::string link;
  if (head == "/proc/self/fd/" || head == "/proc/thread-self/fd/" || head == "/dev/fd/")
    link = "/proc/" + std::to_string(tid) + std::string(kFd) + std::string(number);
  else if (head.starts_with("/proc/") && head.ends_with(kFd))
    link = "/proc/" + std::to_string(tid) + "/root" + std::string(path);
  else
    return {};
  const std::string target = link_of(link);
  return target.starts_with('/') ? below_root(target, root_of(tid)) : std::string();
}

// A folder of `path` may be a link over /proc/self, where the kernel gets and we do not: the last
// one that is a link, replaced by what it says. Nothing when there is none.
template <class Open, class Name>
std::optional<std::string> past_link(const std::string& path, Open open_at, Name name_of) {
  for (std::size_t end = path.rfind('/'); end != 0 && end != std::string::npos;) {
    const std::size_t begin = path.rfind('/', end - 1);
    const UniqueFd folder = open_at(begin == 0 ? "/" : path.substr(0, begin));
    if (folder.valid()) {
      std::string target(kMaxPath, '\0');
      const std::string name = path.substr(begin + 1, end - begin - 1);
      const ssize_t n = ::readlinkat(folder.raw(), name.c_str(), target.data(), target.size());
      if (n <= 0) return std::nullopt;
      target.resize(static_cast<std::size_t>(n));
      if (!target.starts_with('/')) target = name_of(folder) + "/" + target;
      return target + path.substr(end);
    }
    end = begin;
  }
  return std::nullopt;
}

// Where `raw` leads inside the container right now, also when nothing is there yet: an open that
// creates follows a dangling link. Only the report and refusals use it.
std::string follow(pid_t tid, const std::string& raw, bool last) {
  std::string path = raw;
  if (!path.starts_with('/')) return path;  // "pipe:[7]/name": a descriptor without a path
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.ends_with("/..") || path.ends_with("/.")) path = normalised(path);
  if (last)
    if (std::string object = behind_descriptor(tid, path); !object.empty()) return object;
  const auto root = oci::open_file("/proc/" + std::to_string(tid) + "/root", O_PATH | O_DIRECTORY);
  if (!root) return path;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;  // magic links fail: /proc/self would be ours
  const auto open_at = [&](const std::string& p) {
    return UniqueFd(
        static_cast<int>(::syscall(SYS_openat2, root->raw(), p.c_str(), &how, sizeof how)));
  };
  const auto name_of = [top = root_of(tid)](const UniqueFd& fd) {
    // The thread's own: readers do not share their descriptors.
    return below_root(link_of("/proc/thread-self/fd/" + std::to_string(fd.raw())), top);
  };
  for (int links = 0; links < kMaxLinks && !path.starts_with("/proc/"); ++links) {
    if (last)
      if (const UniqueFd fd = open_at(path); fd.valid()) return name_of(fd);
    const std::size_t slash = path.rfind('/');
    const UniqueFd parent = open_at(slash == 0 ? "/" : path.substr(0, slash));
    if (!parent.valid()) {
      auto past = past_link(path, open_at, name_of);
      if (!past) return path;
      path = std::move(*past);
      continue;
    }
    std::string folder = name_of(parent);
    if (folder == "/") folder.clear();
    std::string target(kMaxPath, '\0');
    const ssize_t n =
        last ? ::readlinkat(parent.raw(), path.c_str() + slash + 1, target.data(), target.size())
             : -1;
    if (n <= 0) return folder + path.substr(slash);
    target.resize(static_cast<std::size_t>(n));
    path = target.starts_with('/') ? target : folder + "/" + target;
  }
  if (!path.starts_with("/proc/")) return kElsewhere + path;  // too many links
  // /dev/stdin leads to a descriptor as well.
  const std::string object = last ? behind_descriptor(tid, path) : std::string();
  return object.empty() ? path : object;
}

// A process may call itself by its number, as the container has it.
std::string by_self(pid_t tid, std::string path) {
  constexpr std::string_view kProc = "/proc/";
  if (!path.starts_with(kProc) || path.size() == kProc.size()) return path;
  if (path[kProc.size()] < '1' || path[kProc.size()] > '9') return path;
  const std::string own = std::string(kProc) + std::to_string(describe(tid).pid);
  if (path.starts_with(own + "/")) path.replace(0, own.size(), "/proc/self");
  return path;
}

// AT_SYMLINK_NOFOLLOW, in whichever register the call has its AT_* flags.
bool says_nofollow(const ReadRequest& request) {
  const auto& roles = request.call->args;
  for (std::size_t i = 0; i < roles.size(); ++i)
    if (roles[i] == Arg::Flags && (request.args[i] & AT_SYMLINK_NOFOLLOW) != 0) return true;
  return false;
}

}  // namespace

Claims read_claims(const ReadRequest& request) {
  Claims claims;
  std::optional<std::uint64_t> dirfd;
  for (std::size_t i = 0; i < request.args.size(); ++i) {
    const std::uint64_t value = request.args[i];
    switch (request.call->args[i]) {
      case Arg::DirFd:
        dirfd = value;
        break;
      case Arg::Path:
      case Arg::Name: {
        auto text = read_text(request.tid, value, kMaxPath);
        if (!text) {
          claims.unreadable = true;
          break;
        }
        std::string whole = *text;
        if (!whole.starts_with('/')) whole = base_of(request.tid, dirfd) + "/" + whole;
        whole = by_self(request.tid, std::move(whole));
        const bool last = request.call->args[i] == Arg::Path && !says_nofollow(request);
        const std::string place = follow(request.tid, whole, last);
        whole = normalised(whole);
        auto& path = claims.path ? claims.path2 : claims.path;
        (claims.path ? claims.resolved2 : claims.resolved) = place;
        path = std::move(whole);
        break;
      }
      case Arg::Argv:
        claims.argv = read_argv(request.tid, value);
        break;
      case Arg::SockAddr:
        if (value != 0)
          claims.sockaddr = read_memory(request.tid, value,
                                        std::min<std::size_t>(request.args[i + 1], kMaxSockAddr));
        break;
      case Arg::OpenHow: {
        const std::string raw = read_memory(request.tid, value, sizeof(std::uint64_t));
        std::uint64_t flags = 0;
        if (raw.size() != sizeof flags) {
          claims.unreadable = true;
          break;
        }
        std::memcpy(&flags, raw.data(), sizeof flags);
        claims.open_flags = flags;
        break;
      }
      case Arg::None:
      case Arg::Fd:
      case Arg::Text:
      case Arg::OpenFlags:
      case Arg::Length:
      case Arg::Domain:
      case Arg::SockType:
      case Arg::Protocol:
      case Arg::CloneFlags:
      case Arg::Pid:
      case Arg::Signal:
      case Arg::Flags:
      case Arg::Protection:
      case Arg::Number:
      case Arg::Pointer:
        break;
    }
  }
  return claims;
}

}  // namespace moat::shim
