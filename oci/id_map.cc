#include "oci/id_map.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <string_view>

#include "oci/sys.h"

namespace moat::oci {

namespace {

bool is_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// Sleeps in a user namespace of its own until it is killed.
struct Sleeper {
  pid_t pid = -1;
  Sleeper() : pid(static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))) {
    if (pid != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

Status write_map(const std::string& path, const std::string& lines) {
  const auto file = open_file(path, O_WRONLY);
  if (!file) return fail(file.error());
  return write_all(file->raw(), lines);
}

}  // namespace

Result<std::string> id_map_lines(const std::string& map) {
  std::string lines;
  std::string_view rest = map;
  do {
    std::string_view entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    const std::size_t first = entry.find(':');
    const std::size_t second = entry.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos ||
        !is_number(entry.substr(0, first)) ||
        !is_number(entry.substr(first + 1, second - first - 1)) ||
        !is_number(entry.substr(second + 1)))
      return fail(Code::InvalidArgument,
                  "id map \"" + map + "\": expected inside:outside:count, as 0:100000:65536");
    std::string line(entry);
    std::ranges::replace(line, ':', ' ');
    lines += line + "\n";
  } while (!rest.empty());
  return lines;
}

Result<UniqueFd> make_user_namespace(const std::string& uid_map, const std::string& gid_map) {
  const auto uids = id_map_lines(uid_map);
  const auto gids = id_map_lines(gid_map);
  if (!uids || !gids) return fail(uids ? gids.error() : uids.error());
  const Sleeper sleeper;
  if (sleeper.pid < 0) return fail_errno(errno, "user namespace");
  const std::string proc = "/proc/" + std::to_string(sleeper.pid);
  auto written = write_map(proc + "/uid_map", *uids);
  if (written) written = write_map(proc + "/gid_map", *gids);
  if (!written) return fail(std::move(written.error()));
  return open_file(proc + "/ns/user", O_RDONLY);
}

Status mount_id_mapped(const std::string& source, const std::string& target, int user_namespace) {
  const UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree.valid()) return fail_errno(errno, "id-mapped mount: " + source);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(user_namespace);
  if (::syscall(SYS_mount_setattr, tree.raw(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) !=
      0)
    return fail_errno(errno, "id-mapped mount: the file system of " + source + " cannot do it");
  if (::syscall(SYS_move_mount, tree.raw(), "", AT_FDCWD, target.c_str(),
                MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_errno(errno, "id-mapped mount at " + target);
  return {};
}

}  // namespace moat::oci
