#include "shim/supervise/mount_table.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr std::size_t kMaxMountinfo = 4U << 20;

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      const auto digit = [&](std::size_t n) { return text[i + n] - '0'; };
      out += static_cast<char>(digit(1) * 64 + digit(2) * 8 + digit(3));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

bool has_option(std::string_view options, std::string_view wanted) {
  for (std::size_t at = 0; at <= options.size();) {
    const std::size_t end = std::min(options.find(',', at), options.size());
    if (options.substr(at, end - at) == wanted) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

Result<std::vector<MountEntry>> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> mounts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const auto words = words_of(line);
    const auto dash = std::ranges::find(words, "-");
    MountEntry mount;
    if (words.size() < 10 || words.end() - dash < 3 ||
        std::from_chars(words[0].data(), words[0].data() + words[0].size(), mount.id).ec !=
            std::errc())
      return fail(Code::Internal, "mountinfo: cannot read line '" + std::string(line) + "'");
    mount.device = std::string(words[2]);
    mount.root = unescape(words[3]);
    mount.point = unescape(words[4]);
    mount.readonly = has_option(words[5], "ro");
    mount.noexec = has_option(words[5], "noexec");
    mount.fstype = std::string(dash[1]);
    mount.source = unescape(dash[2]);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<std::vector<MountEntry>> mounts_of(pid_t pid) {
  auto text = oci::read_file("/proc/" + std::to_string(pid) + "/mountinfo", kMaxMountinfo);
  if (!text) return fail(std::move(text.error()));
  return parse_mountinfo(*text);
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool is_kernel_interface(const MountEntry& mount) {
  constexpr std::array kTypes{"proc",    "sysfs",      "cgroup", "cgroup2", "devpts",  "mqueue",
                              "debugfs", "securityfs", "bpf",    "tracefs", "devtmpfs"};
  return std::ranges::find(kTypes, mount.fstype) != kTypes.end();
}

bool is_held(const MountEntry& mount, const std::vector<std::string>& islands, bool keep_proc) {
  if (is_procfs(mount)) return !keep_proc;
  // Terminals are made and handed over in it. All else of the kernel's is held: cgroups and
  // devices' settings are ways out, too.
  if (mount.fstype == "devpts") return false;
  return std::ranges::find(islands, mount.point) == islands.end();
}

bool is_covered(const std::vector<MountEntry>& mounts, const MountEntry& mount) {
  bool later = false;
  for (const MountEntry& other : mounts) {
    if (later && is_below(mount.point, other.point)) return true;
    later = later || other.id == mount.id;
  }
  return false;
}

bool is_procfs(const MountEntry& mount) {
  return mount.fstype == "proc";
}

bool is_devices(const MountEntry& mount) {
  return is_below(mount.point, "/dev");
}

std::uint64_t mount_id_of(int fd) {
  struct statx info {};
  if (::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0) return 0;
  return (info.stx_mask & STATX_MNT_ID) != 0 ? info.stx_mnt_id : 0;
}

Result<UniqueFd> open_mount(int root, const MountEntry& mount) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, root, mount.point.c_str(), &how, sizeof how)));
  if (!fd.valid()) return fail_errno(errno, "mount " + mount.point);
  if (mount_id_of(fd.raw()) != mount.id)
    return fail(Code::NotFound, "mount " + mount.point + " is hidden behind another one");
  return fd;
}

}  // namespace moat::shim
