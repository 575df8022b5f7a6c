#include "shim/supervise/carried.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <sstream>

#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr std::size_t kMaxLooked = 16384;         // descriptors
constexpr std::size_t kMaxMaps = 4U << 20;        // bytes of a process's list of maps
constexpr std::size_t kMaxFound = 128;            // lines, which fit into one answer
constexpr std::size_t kMaxName = 256;             // of each, in bytes
constexpr std::size_t kMostTold = 10;             // in one event
constexpr std::string_view kGone = " (deleted)";  // what the kernel puts after a name

std::string proc(pid_t pid, std::string_view rest) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(rest);
}

template <class T>
T number(std::string_view text, int base) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

std::string_view field(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find('\n'));
}

struct Open {
  std::string name;
  std::uint64_t mount = 0;
  bool writable = false;
  mode_t mode = 0;
};

// Never opens anything, and asks no file system: one that is far away must not hold this up.
std::optional<Open> look_at(pid_t pid, const char* fd) {
  char target[4096];
  const std::string link = proc(pid, "fd/") + fd;
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  if (size <= 0 || target[0] != '/') return std::nullopt;  // "pipe:[1]", "socket:[2]"
  struct statx info {};
  if (::statx(AT_FDCWD, link.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MODE, &info) != 0)
    return std::nullopt;
  const std::string text = oci::read_file(proc(pid, "fdinfo/") + fd, 64U << 10).value_or("");
  Open open;
  open.name.assign(target, static_cast<std::size_t>(size));
  open.mount = number<std::uint64_t>(field(text, "mnt_id:"), 10);
  open.writable = (number<unsigned>(field(text, "flags:"), 8) & O_ACCMODE) != O_RDONLY;
  open.mode = info.stx_mode;
  return open;
}

std::optional<Carried::Kind> kind_of(const Open& open, const std::vector<MountEntry>& mounts) {
  using Kind = Carried::Kind;
  if (S_ISCHR(open.mode) || S_ISBLK(open.mode)) return Kind::Device;
  if (open.name.starts_with("/memfd:"))
    return (open.mode & 0111) != 0 ? std::optional(Kind::Program) : std::nullopt;
  const auto on = std::ranges::find(mounts, open.mount, &MountEntry::id);
  if (on == mounts.end()) return Kind::Strange;
  if (on->fstype == "mqueue") return Kind::Queue;
  if (is_procfs(*on) && open.name.ends_with("/mem")) return Kind::Memory;
  return std::nullopt;
}

std::string comm_of(pid_t pid) {
  std::string comm = oci::read_file(proc(pid, "comm"), 64).value_or("?");
  if (comm.ends_with('\n')) comm.pop_back();
  return comm;
}

void add_descriptors(pid_t pid, const std::vector<MountEntry>& mounts, std::size_t& left,
                     std::vector<Carried>& found) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(proc(pid, "fd").c_str()), &::closedir);
  if (!dir) return;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (left == 0 || found.size() >= kMaxFound) return;
    if (entry->d_name[0] == '.') continue;
    --left;
    const auto open = look_at(pid, entry->d_name);
    const auto kind = open ? kind_of(*open, mounts) : std::nullopt;
    if (kind) found.push_back({*kind, open->writable, pid, comm_of(pid), open->name});
  }
}

// "7f..-7f.. rw-s 00000000 00:01 12 /path": shared, writable, of a file.
void add_maps(pid_t pid, std::vector<Carried>& found) {
  const std::string text = oci::read_file(proc(pid, "maps"), kMaxMaps).value_or("");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && found.size() < kMaxFound;) {
    const std::size_t space = line.find(' '), path = line.find(" /");
    if (space == std::string::npos || path == std::string::npos || line.size() < space + 5)
      continue;
    if (line[space + 2] != 'w' || line[space + 4] != 's') continue;
    Carried map{Carried::Kind::Map, true, pid, comm_of(pid), line.substr(path + 1)};
    const bool known = std::ranges::any_of(found, [&](const Carried& other) {
      return other.kind == map.kind && other.pid == pid && other.name == map.name;
    });
    if (!known) found.push_back(std::move(map));
  }
}

bool gives(const policies::Boundary& boundary, const Carried& carried) {
  std::string name = carried.name;
  if (name.ends_with(kGone)) name.resize(name.size() - kGone.size());
  switch (carried.kind) {
    case Carried::Kind::Memory:
    case Carried::Kind::Strange:
      return false;
    case Carried::Kind::Program:
      return boundary.exec_files.contains("/memfd:");
    case Carried::Kind::Queue:
      return boundary.modify.contains("/dev/mqueue");
    case Carried::Kind::Device:
      return boundary.devices.contains(name);
    case Carried::Kind::Map:
      // Memory without a name in any folder: only who has it already can reach it.
      if (name.starts_with("/memfd:") || name.starts_with("/SYSV") || name == "/dev/zero")
        return true;
      return boundary.modify.contains(name) || boundary.devices.contains(name);
  }
  return false;
}

std::string sentence(const Carried& carried) {
  const std::string who = carried.comm + " (pid " + std::to_string(carried.pid) + ") ";
  const std::string open = carried.writable ? " open for writing" : " open";
  switch (carried.kind) {
    case Carried::Kind::Memory:
    case Carried::Kind::Queue:
    case Carried::Kind::Device:
    case Carried::Kind::Strange:
      return who + "has " + carried.name + open;
    case Carried::Kind::Program:
      return who + "has the executable memory file " + carried.name + " open";
    case Carried::Kind::Map:
      return who + "has " + carried.name + " mapped, shared and writable";
  }
  return who;
}

}  // namespace

std::string to_line(const Carried& carried) {
  std::string plain = carried.comm + "\t" + carried.name.substr(0, kMaxName);
  for (char& c : plain)
    if (c != '\t' && (c < ' ' || c == 0x7f)) c = '?';
  return std::string(1, static_cast<char>(carried.kind)) + (carried.writable ? "w" : "r") + "\t" +
         std::to_string(carried.pid) + "\t" + plain + "\n";
}

std::vector<Carried> from_lines(std::string_view text) {
  std::vector<Carried> all;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, pid;
    Carried carried;
    if (!std::getline(words, kind, '\t') || kind.size() != 2 || !std::getline(words, pid, '\t') ||
        !std::getline(words, carried.comm, '\t') || !std::getline(words, carried.name))
      continue;
    carried.kind = static_cast<Carried::Kind>(kind[0]);
    carried.writable = kind[1] == 'w';
    carried.pid = number<pid_t>(pid, 10);
    all.push_back(std::move(carried));
  }
  return all;
}

std::vector<Carried> carried_by(const std::vector<pid_t>& processes,
                                const std::vector<MountEntry>& mounts) {
  std::vector<Carried> found;
  std::size_t left = kMaxLooked;
  for (const pid_t pid : processes) {
    add_descriptors(pid, mounts, left, found);
    add_maps(pid, found);
  }
  return found;
}

CarriedJudgement judge(const std::vector<Carried>& all, const policies::Boundary& boundary) {
  CarriedJudgement judgement;
  std::size_t told = 0;
  for (const Carried& carried : all) {
    if (gives(boundary, carried)) continue;
    if (carried.kind == Carried::Kind::Memory && carried.writable) {
      judgement.danger = sentence(carried) + ": a way around every boundary, to be closed before";
      continue;
    }
    if (++told <= kMostTold) judgement.told += (told == 1 ? "" : "; ") + sentence(carried);
  }
  if (told > kMostTold) judgement.told += " and " + std::to_string(told - kMostTold) + " more";
  return judgement;
}

}  // namespace moat::shim
