#include "shim/supervise/ending.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "oci/sys.h"
#include "shim/cgroups/cgroup.h"

namespace moat::shim {

Ending Ending::of(pid_t init) {
  Ending ending;
  auto pidfd = oci::pidfd_open(init);
  if (!pidfd) return ending;
  ending.fds_[kInit] = std::move(*pidfd);
  const auto cgroup = Cgroup::of_process(init);
  const auto open = [&](Which which, std::string_view controller, const char* file, int flags) {
    const std::string folder = cgroup ? cgroup->folder(controller) : std::string();
    auto opened = folder.empty() ? fail(Code::NotFound, "no cgroup")
                                 : oci::open_file(folder + "/" + file, flags);
    ending.fds_[which] =
        opened ? std::move(*opened) : UniqueFd(::fcntl(ending.fd(kInit), F_DUPFD_CLOEXEC, 0));
  };
  open(kKill, "", "cgroup.kill", O_WRONLY);  // version 2, a hybrid's included; Linux 5.14
  open(kProcesses, "freezer", "cgroup.procs", O_RDONLY);
  open(kFreezer, "freezer", "freezer.state", O_WRONLY);
  return ending;
}

Ending Ending::from(std::vector<UniqueFd> fds) {
  Ending ending;
  if (fds.size() != kCount) return ending;
  for (std::size_t i = 0; i < kCount; ++i) ending.fds_[i] = std::move(fds[i]);
  return ending;
}

std::vector<int> Ending::raw() const {
  std::vector<int> fds;
  for (const UniqueFd& fd : fds_)
    if (fd.valid()) fds.push_back(fd.raw());
  return fds;
}

void Ending::now() const {
  if (!fds_[kInit].valid()) return;
  (void)!::write(fd(kKill), "1", 1);
  // Version 1 has no such file. While it is frozen nobody forks and no number changes hands.
  (void)!::write(fd(kFreezer), "FROZEN", 6);
  kill_members([this] { return listed(); });
  (void)::syscall(SYS_pidfd_send_signal, fd(kInit), SIGKILL, nullptr, 0);
  // Only now does any of it take effect on what was frozen, by us or by a pause.
  (void)!::write(fd(kFreezer), "THAWED", 6);
}

// A number that was listed may be another process's when it is opened, but not if it is listed
// still: then what was opened is a member, or dead.
void kill_members(const std::function<std::vector<pid_t>()>& members) {
  constexpr std::size_t kAtOnce = 64;  // descriptors
  std::vector<pid_t> all = members();
  std::ranges::sort(all);
  for (std::size_t at = 0; at < all.size(); at += kAtOnce) {
    std::vector<std::pair<pid_t, UniqueFd>> opened;
    for (std::size_t i = at; i < std::min(at + kAtOnce, all.size()); ++i)
      if (auto pidfd = oci::pidfd_open(all[i])) opened.emplace_back(all[i], std::move(*pidfd));
    std::vector<pid_t> now = members();
    std::ranges::sort(now);
    for (const auto& [pid, pidfd] : opened)
      if (std::ranges::binary_search(now, pid)) (void)oci::pidfd_signal(pidfd.raw(), SIGKILL);
  }
}

std::vector<pid_t> Ending::listed() const {
  std::vector<pid_t> pids;
  if (::lseek(fd(kProcesses), 0, SEEK_SET) != 0) return pids;
  char text[1024];
  pid_t pid = 0;
  for (ssize_t n = 0; (n = ::read(fd(kProcesses), text, sizeof text)) > 0;) {
    for (ssize_t i = 0; i < n; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
        continue;
      }
      if (pid > 1) pids.push_back(pid);
      pid = 0;
    }
  }
  return pids;
}

}  // namespace moat::shim
