#include "shim/supervise/state_dir.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "hooks/leftovers.h"
#include "oci/sys.h"
#include "shim/supervise/process.h"

namespace moat::shim {

Result<ShimRecord> ShimRecord::write(const std::string& state_dir, const Identity& identity) {
  const std::string folder = state_dir + "/shims";
  if (auto made = oci::make_dirs(folder, 0700); !made) return fail(std::move(made.error()));
  const nlohmann::json record{{"pid", ::getpid()},
                              {"namespace", identity.ns},
                              {"id", identity.id},
                              {"socket", identity.socket}};
  std::string path = folder + "/" + std::to_string(::getpid()) + ".json";
  if (auto written = oci::write_file_atomic(path, record.dump() + "\n", 0600); !written)
    return fail(std::move(written.error()));
  return ShimRecord(std::move(path));
}

ShimRecord::~ShimRecord() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void clean_state(const std::string& state_dir, const std::string& ns, const std::string& id) {
  ::unlink(hooks::listener_path(state_dir, ns, id).c_str());
  const std::string folder = state_dir + "/shims";
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) return;
  while (const dirent* entry = ::readdir(dir)) {
    const auto pid = static_cast<pid_t>(std::atoi(entry->d_name));
    // One that is dead and not yet reaped runs nothing: it is gone as well.
    if (pid > 0 && exe_of(pid).empty())
      ::unlink((folder + "/" + entry->d_name).c_str());
  }
  ::closedir(dir);
}

}  // namespace moat::shim
