// The privileged step of `load`: in the container's mount namespace everything but the islands
// turns read-only, all of it or nothing. A process of its own, because only a single-threaded
// process may enter a mount namespace, and because it must not share fate with the shim.
//
//   transition PID START-TIME [--keep-proc] [--unix=NAME...] [ISLAND...]
//   transition PID START-TIME --undo [MOUNT-ID...]
//
// The second form makes mounts writable again that one of the first kind turned, should it have
// been killed half way: a mount that is writable already stays as it is.
//
// Exit 0: done. Exit 1: nothing was changed (of an undo: not all), the reason is on standard
// output.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "oci/sys.h"
#include "shim/supervise/mount_table.h"
#include "shim/supervise/roles.h"
#include "shim/supervise/unix_paths.h"
#include "shim/supervise/writers.h"

namespace moat::shim {

namespace {

// /dev is not marked, so nobody would be asked about a program in it; and a private map of
// /dev/zero is anonymous memory by another name, which noexec keeps from being run.
std::uint64_t flags_for(const MountEntry& mount) {
  const bool noexec = is_devices(mount) && !mount.noexec;
  return (mount.readonly ? 0 : MOUNT_ATTR_RDONLY) | (noexec ? MOUNT_ATTR_NOEXEC : 0);
}

int set_flags(int mount, std::uint64_t flags, bool on) {
  mount_attr attributes{};
  (on ? attributes.attr_set : attributes.attr_clr) = flags;
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
}

constexpr std::string_view kKeepProc = "--keep-proc", kUndo = "--undo";

struct Order {
  bool undo = false, keep_proc = false;
  std::vector<std::string> words;  // islands and Unix names, or mount ids

  [[nodiscard]] bool concerns(const MountEntry& mount) const {
    if (!undo) return flags_for(mount) != 0 && is_held(mount, words, keep_proc);
    return mount.readonly && std::ranges::find(words, std::to_string(mount.id)) != words.end();
  }
};

// A name that the workload could lead elsewhere would open every Unix socket to it.
Status check_unix_paths(const std::vector<MountEntry>& mounts, const Order& order) {
  const StaysWritable stays_writable = [&](const MountEntry& mount) {
    return is_procfs(mount) || (!mount.readonly && !is_held(mount, order.words, order.keep_proc));
  };
  for (const std::string& word : order.words) {
    if (!word.starts_with(kUnixPath)) continue;
    const std::string path = word.substr(std::string_view(kUnixPath).size());
    if (auto ok = check_unix_path(path, mounts, stays_writable); !ok) return ok;
  }
  return {};
}

Status flip_all(pid_t pid, const std::vector<MountEntry>& mounts, const Order& order) {
  const auto root = oci::open_file("/", O_PATH | O_DIRECTORY);  // the container's, by now
  if (!root) return fail(Error(root.error()));
  std::vector<std::pair<UniqueFd, std::uint64_t>> flipped;
  for (const MountEntry& mount : mounts) {
    if (!order.concerns(mount)) continue;
    auto fd = open_mount(root->raw(), mount);
    // Nobody reaches a mount under another one; one that is in the open must be found.
    if (!fd && fd.error().code == Code::NotFound && is_covered(mounts, mount)) continue;
    const std::uint64_t flags = flags_for(mount);
    if (fd && set_flags(fd->raw(), flags, true) == 0) {
      flipped.emplace_back(std::move(*fd), flags);
      continue;
    }
    const int err = errno;
    for (const auto& [done, set] : flipped) (void)set_flags(done.raw(), set, false);
    if (!fd) return fail(std::move(fd.error()));
    if (err == EBUSY) return fail(Code::FailedPrecondition, describe_writers(pid, mount));
    return fail_errno(err, "making " + mount.point + " read-only");
  }
  return {};
}

// Goes on after a failure: what can be undone is.
Status undo_all(const std::vector<MountEntry>& mounts, const Order& order) {
  const auto root = oci::open_file("/", O_PATH | O_DIRECTORY);
  if (!root) return fail(Error(root.error()));
  Status status;
  for (const MountEntry& mount : mounts) {
    if (!order.concerns(mount)) continue;
    const auto fd = open_mount(root->raw(), mount);
    if (!fd)
      status = fail(Error(fd.error()));
    else if (set_flags(fd->raw(), MOUNT_ATTR_RDONLY, false) != 0)
      status = fail_errno(errno, "making " + mount.point + " writable again");
  }
  return status;
}

Status transition(pid_t pid, std::uint64_t start_time, const Order& order) {
  const std::string proc = "/proc/" + std::to_string(pid);
  // Everything of the host's /proc is opened before the container's takes its place.
  const auto ns = oci::open_file(proc + "/ns/mnt", O_RDONLY);
  const auto root = oci::open_file(proc + "/root", O_PATH | O_DIRECTORY);
  const auto mounts = mounts_of(pid);
  if (!ns) return fail(Error(ns.error()));
  if (!root) return fail(Error(root.error()));
  if (!mounts) return fail(Error(mounts.error()));
  if (auto kept = keep_host_proc(); !kept) return kept;
  if (oci::start_time_of(pid) != start_time)
    return fail(Code::NotFound, "the container's init is gone");
  if (::setns(ns->raw(), CLONE_NEWNS) != 0)
    return fail_errno(errno, "entering the mount namespace");
  // mountinfo's paths start at the root of that very process.
  if (::fchdir(root->raw()) != 0 || ::chroot(".") != 0)
    return fail_errno(errno, "entering the container's root");
  if (order.undo) return undo_all(*mounts, order);
  if (auto fixed = check_unix_paths(*mounts, order); !fixed) return fixed;
  return flip_all(pid, *mounts, order);
}

}  // namespace

int transition_main(int argc, char** argv) {
  if (argc < 4) return 2;
  Order order;
  int first = 4;
  if (argc > first) {
    order.keep_proc = argv[first] == kKeepProc;
    order.undo = argv[first] == kUndo;
    if (order.keep_proc || order.undo) ++first;
  }
  order.words.assign(argv + first, argv + argc);
  const Status status = transition(static_cast<pid_t>(std::atoi(argv[2])),
                                   std::strtoull(argv[3], nullptr, 10), order);
  if (status) return 0;
  std::fputs(status.error().what.c_str(), stdout);
  return 1;
}

}  // namespace moat::shim
