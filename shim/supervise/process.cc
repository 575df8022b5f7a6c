#include "shim/supervise/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "oci/sha256.h"
#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr int kMaxDepth = 64;  // of a process tree we are willing to climb

std::string proc(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::string read(pid_t pid, const char* name) {
  return oci::read_file(proc(pid, name), 64U << 10).value_or(std::string());
}

std::string link(pid_t pid, const char* name) {
  char buffer[4096];
  const ssize_t n = ::readlink(proc(pid, name).c_str(), buffer, sizeof buffer);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

// The text after "Name:\t" in a status file, up to the end of its line.
std::string_view field(std::string_view status, std::string_view name) {
  std::size_t at = 0;
  while (at < status.size()) {
    const std::size_t end = std::min(status.find('\n', at), status.size());
    std::string_view line = status.substr(at, end - at);
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      line.remove_prefix(name.size() + 1);
      while (!line.empty() && (line.front() == '\t' || line.front() == ' ')) line.remove_prefix(1);
      return line;
    }
    at = end + 1;
  }
  return {};
}

pid_t number(std::string_view text) {
  pid_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Of the numbers a process has, one for each PID namespace, outermost first.
pid_t innermost(std::string_view numbers) {
  return number(numbers.substr(numbers.find_last_of("\t ") + 1));
}

// A process with more children than this cannot signal them one by one: looking through them would
// keep everybody else waiting.
constexpr std::size_t kMaxChildren = 256;

std::vector<pid_t> children_of(pid_t group) {
  std::vector<pid_t> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir(proc(group, "task").c_str()),
                                                    &::closedir);
  while (const dirent* thread = threads ? ::readdir(threads.get()) : nullptr) {
    if (number(thread->d_name) == 0) continue;
    const std::string text =
        read(group, ("task/" + std::string(thread->d_name) + "/children").c_str());
    for (std::size_t at = 0; at < text.size(); at = std::min(text.find(' ', at), text.size()) + 1) {
      if (children.size() == kMaxChildren) return children;
      if (const pid_t child = number(std::string_view(text).substr(at)); child > 0)
        children.push_back(child);
    }
  }
  return children;
}

}  // namespace

pid_t thread_group_of(pid_t tid) {
  return number(field(read(tid, "status"), "Tgid"));
}

pid_t parent_of(pid_t pid) {
  return number(field(read(pid, "status"), "PPid"));
}

bool is_own_number(pid_t tid, pid_t asked) {
  const std::string status = read(tid, "status");
  for (const char* name : {"NSpid", "NStgid"}) {
    const pid_t own = innermost(field(status, name));
    if (own > 0 && own == asked) return true;
  }
  return false;
}

UniqueFd child_of(pid_t tid, pid_t asked) {
  const std::string asker = read(tid, "status");
  const pid_t group = number(field(asker, "Tgid"));
  for (const pid_t child : children_of(group)) {
    auto pidfd = oci::pidfd_open(child);
    const std::string status = read(child, "status");
    const bool meant =
        number(field(status, "PPid")) == group && innermost(field(status, "NStgid")) == asked &&
        field(status, "Uid") == field(asker, "Uid") && cgroups_of(child) == cgroups_of(group);
    // Still there: then all of that was said of the process the descriptor holds.
    if (pidfd && meant && oci::pidfd_signal(pidfd->raw(), 0)) return std::move(*pidfd);
  }
  return {};
}

std::string exe_of(pid_t pid) {
  return link(pid, "exe");
}

std::string exe_file_of(pid_t pid) {
  struct statx file {};
  // Without asking the file system, which may be one that answers late or never.
  if (::statx(AT_FDCWD, proc(pid, "exe").c_str(), AT_STATX_DONT_SYNC, STATX_INO, &file) != 0)
    return {};
  return std::to_string(file.stx_dev_major) + ":" + std::to_string(file.stx_dev_minor) + ":" +
         std::to_string(file.stx_ino);
}

// A container's program may be the runtime's own file once more (/proc/self/exe in the image), with
// libraries of the image in it. What the kernel tells a program at its start holds addresses it has
// just chosen at random.
std::string program_of(pid_t pid) {
  const std::string file = exe_file_of(pid);
  const std::string vector = read(pid, "auxv");
  return file.empty() || vector.empty() ? std::string() : file + ":" + oci::sha256_hex(vector);
}

std::string cgroups_of(pid_t pid) {
  return read(pid, "cgroup");
}

std::string root_of(pid_t pid) {
  const std::string root = link(pid, "root");
  return root == "/" ? std::string() : root;
}

std::string below_root(std::string path, const std::string& root) {
  if (root.empty() || !path.starts_with(root)) return path;
  if (path.size() == root.size()) return "/";
  return path[root.size()] == '/' ? path.substr(root.size()) : path;
}

policies::ProcessInfo describe(pid_t tid) {
  policies::ProcessInfo info;
  const std::string status = read(tid, "status");
  info.tid = tid;
  info.host_pid = number(field(status, "Tgid"));
  info.parent_host_pid = number(field(status, "PPid"));
  info.uid = static_cast<std::uint32_t>(number(field(status, "Uid")));
  info.comm = std::string(field(status, "Name"));
  // "NSpid: host ... innermost": the last number is what the container knows it by.
  const std::string_view ns = field(status, "NStgid");
  const std::size_t tab = ns.rfind('\t');
  info.pid = number(tab == std::string_view::npos ? ns : ns.substr(tab + 1));
  const std::string root = root_of(tid);
  info.cwd = below_root(link(tid, "cwd"), root);
  info.exe = below_root(exe_of(info.host_pid), root);
  info.parent_exe = below_root(exe_of(info.parent_host_pid), root);
  return info;
}

namespace {

template <class F>
void for_each_cgroup(const std::string& text, F&& use) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const std::size_t slash = line.find(":/");
    if (slash != std::string::npos) use(line.substr(0, slash), line.substr(slash + 1));
    at = end + 1;
  }
}

}  // namespace

Membership::Membership(const std::string& init_cgroups, const std::string& own) {
  const std::string ours = "\n" + own;
  for_each_cgroup(init_cgroups, [&](std::string head, std::string path) {
    const bool shared = ours.find("\n" + head + ":" + path + "\n") != std::string::npos;
    if (path != "/" && !shared) paths_.emplace_back(std::move(head), std::move(path));
  });
}

bool Membership::contains(const std::string& cgroups) const {
  bool inside = paths_.empty();
  for_each_cgroup(cgroups, [&](const std::string& head, const std::string& path) {
    for (const auto& [own_head, own_path] : paths_)
      if (own_head == head && (path == own_path || path.starts_with(own_path + "/"))) inside = true;
  });
  return inside;
}

namespace {

// One number for each pid namespace it is in, seen from ours.
bool is_in_our_pid_namespace(pid_t pid) {
  const std::string status = read(pid, "status");
  return field(status, "NSpid").find('\t') == std::string_view::npos;
}

}  // namespace

bool is_runtime_bootstrap(pid_t pid, pid_t shim, const Membership& membership) {
  for (int depth = 0; depth < kMaxDepth && pid > 1; ++depth) {
    const pid_t parent = parent_of(pid);
    // Not the init of another container, which adopts the orphans of all that share its processes.
    if (parent == shim)
      return is_in_our_pid_namespace(pid) && !membership.contains(cgroups_of(pid));
    pid = parent;
  }
  return false;
}

}  // namespace moat::shim
