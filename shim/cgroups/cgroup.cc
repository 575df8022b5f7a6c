#include "shim/cgroups/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <memory>
#include <set>

#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr int kMaxDepth = 16;          // deeper than any payload's own nesting needs to be
constexpr int kMaxKillRounds = 50;     // a fork bomb is beaten by the freezer, not by more rounds
constexpr std::size_t kMaxHeld = 128;  // descriptors at a time: the usual limit is 1024
constexpr std::size_t kMaxFile = 1U << 20;  // a line per processor or block device

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool is_unified() {
  struct statfs status {};
  return ::statfs(kCgroupRoot.data(), &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

// The path of one hierarchy in /proc/PID/cgroup; `controller` is empty for version 2.
std::string_view path_in(std::string_view text, std::string_view controller) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    if (names.empty() != controller.empty()) continue;
    const std::string wrapped = "," + std::string(names) + ",";
    if (names.empty() || wrapped.find("," + std::string(controller) + ",") != std::string::npos)
      return line.substr(second + 1);
  }
  return {};
}

void read_pids(const std::string& folder, int depth, std::vector<pid_t>& pids) {
  const auto text = oci::read_file(folder + "/cgroup.procs");
  if (!text) return;
  const char* at = text->data();
  const char* const end = at + text->size();
  while (at < end) {
    pid_t pid = 0;
    const auto parsed = std::from_chars(at, end, pid);
    if (parsed.ec == std::errc() && pid > 0) pids.push_back(pid);
    at = std::find(parsed.ptr, end, '\n') + 1;
  }
  if (depth == 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (!dir) return;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    read_pids(folder + "/" + entry->d_name, depth - 1, pids);
  }
}

}  // namespace

std::string Cgroup::folder_of(std::string_view text, std::string_view controller,
                              const Machine& machine) {
  const std::string path(path_in(text, machine.unified ? std::string_view() : controller));
  const std::string own(path_in(machine.own, machine.unified ? std::string_view() : controller));
  if (path.size() < 2 || (own + "/").starts_with(path + "/")) return {};
  std::string folder(machine.root);
  if (!machine.unified) folder += "/" + std::string(controller.empty() ? "unified" : controller);
  folder += path;
  return machine.exists(folder) ? folder : std::string();
}

std::string Cgroup::folder_in(std::string_view text, const Machine& machine) {
  // The unified one of a hybrid last: not every runtime puts a container there.
  constexpr std::array<std::string_view, 5> kControllers{"pids", "freezer", "devices", "memory",
                                                         ""};
  for (const std::string_view controller : kControllers) {
    std::string folder = folder_of(text, controller, machine);
    if (!folder.empty()) return folder;
  }
  return {};
}

Result<Cgroup> Cgroup::in(std::string_view text, const Machine& machine) {
  constexpr std::array<std::string_view, 9> kControllers{
      "cpu", "cpuacct", "memory", "pids", "blkio", "rdma", "hugetlb", "freezer", ""};
  Cgroup cgroup;
  cgroup.unified_ = machine.unified;
  cgroup.root_ = machine.root;
  cgroup.folder_ = folder_in(text, machine);
  if (cgroup.folder_.empty()) return fail(Code::NotFound, "no cgroup of its own");
  if (machine.unified) return cgroup;
  for (const std::string_view controller : kControllers)
    if (std::string folder = folder_of(text, controller, machine); !folder.empty())
      cgroup.folders_.emplace_back(controller, std::move(folder));
  return cgroup;
}

Result<Cgroup> Cgroup::of_process(pid_t pid) {
  const auto text = oci::read_file("/proc/" + std::to_string(pid) + "/cgroup", 1U << 16);
  if (!text) return fail(text.error());
  const auto own = oci::read_file("/proc/self/cgroup", 1U << 16);
  if (!own) return fail(own.error());
  auto cgroup = in(*text, {kCgroupRoot, is_unified(), *own, is_folder});
  if (!cgroup) return fail(std::move(cgroup.error()).in("process " + std::to_string(pid)));
  return cgroup;
}

const std::string& Cgroup::folder(std::string_view controller) const {
  static const std::string kNone;
  if (unified_) return folder_;
  const auto found =
      std::ranges::find(folders_, controller, [](const auto& it) { return it.first; });
  return found == folders_.end() ? kNone : found->second;
}

std::optional<std::string> Cgroup::read(std::string_view controller, std::string_view file) const {
  const std::string& in_folder = folder(controller);
  if (in_folder.empty()) return {};
  auto text = oci::read_file(in_folder + "/" + std::string(file), kMaxFile);
  if (!text) return {};
  return std::move(*text);
}

Status Cgroup::write(std::string_view controller, std::string_view file,
                     std::string_view text) const {
  const std::string& in_folder = folder(controller);
  const std::string path = in_folder + "/" + std::string(file);
  if (in_folder.empty()) return fail(Code::NotFound, path + ": no such controller");
  auto opened = oci::open_file(path, O_WRONLY);
  if (!opened) return fail(std::move(opened.error()));
  auto written = oci::write_all(opened->raw(), text);
  if (!written) return fail(std::move(written.error()).in(path));
  return {};
}

std::vector<pid_t> Cgroup::pids() const {
  std::vector<pid_t> pids;
  read_pids(folder_, kMaxDepth, pids);
  return pids;
}

void Cgroup::thaw() const {
  if (!unified_) (void)write("freezer", "freezer.state", "THAWED");
}

// A number may have been freed and given away since it was read: each is held by a descriptor
// first, then looked up once more, then signalled.
void Cgroup::signal_each(std::span<const pid_t> targets, int signal) const {
  std::vector<std::pair<pid_t, UniqueFd>> held;
  for (const pid_t pid : targets)
    if (auto pidfd = oci::pidfd_open(pid)) held.emplace_back(pid, std::move(*pidfd));
  std::vector<pid_t> still = pids();
  std::ranges::sort(still);
  for (const auto& [pid, pidfd] : held)
    if (std::ranges::binary_search(still, pid)) (void)oci::pidfd_signal(pidfd.raw(), signal);
}

void Cgroup::signal_all(int signal) const {
  // cgroup.kill (kernel 5.14, version 2) has no race with fork.
  if (signal == SIGKILL) {
    const auto kill_file = oci::open_file(folder_ + "/cgroup.kill", O_WRONLY);
    if (kill_file && oci::write_all(kill_file->raw(), "1")) return;
  }
  std::set<pid_t> signalled;
  for (int round = 0; round < kMaxKillRounds; ++round) {
    std::vector<pid_t> targets = pids();
    std::erase_if(targets, [&](pid_t pid) { return !signalled.insert(pid).second; });
    if (targets.empty()) break;
    const std::span<const pid_t> all(targets);
    for (std::size_t at = 0; at < all.size(); at += kMaxHeld)
      signal_each(all.subspan(at, std::min(kMaxHeld, all.size() - at)), signal);
    if (signal != SIGKILL) break;
    thaw();
  }
}

}  // namespace moat::shim
