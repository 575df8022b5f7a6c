#include "shim/supervise/writers.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <vector>

#include "oci/sys.h"

namespace moat::shim {

namespace {

UniqueFd host_proc;  // one per process: this role does one thing and exits

std::string link_at(const std::string& path) {
  char buffer[4096];
  const ssize_t n = ::readlinkat(host_proc.raw(), path.c_str(), buffer, sizeof buffer);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

std::string text_at(const std::string& path) {
  const UniqueFd fd(::openat(host_proc.raw(), path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  return oci::read_all(fd.raw(), 64U << 10).value_or(std::string());
}

std::vector<std::string> numbers_in(const std::string& folder) {
  std::vector<std::string> names;
  const int fd = ::openat(host_proc.raw(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd < 0 ? nullptr : ::fdopendir(fd);
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir))
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') names.emplace_back(entry->d_name);
  ::closedir(dir);
  return names;
}

// The number after "key:\t" in an fdinfo text.
std::optional<std::uint64_t> info(const std::string& text, std::string_view key, int base) {
  const std::size_t at = text.find(key);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t start = text.find_first_not_of(" \t", at + key.size());
  if (start == std::string::npos) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(text.data() + start, text.data() + text.size(), value, base);
  return value;
}

bool writes_to(const std::string& pid, const std::string& fd, const MountEntry& mount) {
  const std::string text = text_at(pid + "/fdinfo/" + fd);
  const auto flags = info(text, "flags:", 8);
  return info(text, "mnt_id:", 10) == mount.id && flags && (*flags & O_ACCMODE) != O_RDONLY;
}

std::string folder_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : file.substr(0, slash);
}

}  // namespace

Status keep_host_proc() {
  host_proc = UniqueFd(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!host_proc.valid()) return fail_errno(errno, "/proc");
  return {};
}

std::string link_of_fd(int fd) {
  return link_at("self/fd/" + std::to_string(fd));
}

std::string describe_writers(pid_t pid, const MountEntry& mount) {
  const std::string busy = "'" + mount.point + "' cannot become read-only: ";
  const std::string ns = link_at(std::to_string(pid) + "/ns/mnt");
  for (const std::string& other : numbers_in(".")) {
    if (link_at(other + "/ns/mnt") != ns) continue;
    for (const std::string& fd : numbers_in(other + "/fd")) {
      if (!writes_to(other, fd, mount)) continue;
      std::string comm = text_at(other + "/comm");
      if (!comm.empty()) comm.pop_back();
      const std::string file = link_at(other + "/fd/" + fd);
      return busy + comm + " (pid " + other + ") has " + file +
             " open for writing; declare its folder as writable with the annotation " +
             "moat.dev/cache-paths: " + folder_of(file);
    }
  }
  return busy + "a file on it is mapped or open for writing; declare its folder as writable with " +
         "the annotation moat.dev/cache-paths";
}

}  // namespace moat::shim
