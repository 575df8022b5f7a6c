#include "shim/start_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <memory>
#include <vector>

#include "oci/sys.h"

namespace moat::shim {

namespace {

bool is_unified(const std::string& folder) {
  struct statfs status {};
  return ::statfs(folder.c_str(), &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

// Beside hierarchies of version 1 one of version 2 counts no resources: the reference passes it by.
std::vector<std::string> hierarchies(const std::string& root) {
  if (is_unified(root)) return {root};
  std::vector<std::string> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(root.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string folder = root + "/" + entry->d_name;
    // "cpu" is a link to "cpu,cpuacct": once is enough.
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && !is_unified(folder))
      found.push_back(folder);
  }
  return found;
}

}  // namespace

Status join_cgroup(const std::string& path, pid_t pid, const std::string& root) {
  bool joined = false;
  for (const std::string& hierarchy : hierarchies(root)) {
    const auto procs = oci::open_file(hierarchy + "/" + path + "/cgroup.procs", O_WRONLY);
    if (!procs && procs.error().err == ENOENT) continue;
    if (!procs) return fail(Error(procs.error()).in("ShimCgroup"));
    auto written = oci::write_all(procs->raw(), std::to_string(pid));
    if (!written) return fail(std::move(written.error()).in("ShimCgroup " + path));
    joined = true;
  }
  if (joined) return {};
  return fail(Code::NotFound, "ShimCgroup " + path + ": no such cgroup below " + root +
                                  "; make it before the shim is started");
}

}  // namespace moat::shim
