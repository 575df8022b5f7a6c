#include "hooks/removal.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace moat::hooks {

namespace {

// One that is dead and not yet reaped runs nothing: it is gone as well.
bool is_gone(pid_t pid) {
  char link[1];
  return ::readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), link, sizeof link) < 0 &&
         errno == ENOENT;
}

}  // namespace

Status remove_leftovers(const std::string& state_dir, const Stopped& container) {
  const std::string path = listener_path(state_dir, container.namespace_, container.id);
  const bool kept = ::unlink(path.c_str()) != 0 && errno != ENOENT;
  Status status = kept ? Status(fail_errno(errno, "cannot remove " + path)) : Status();
  const std::string folder = state_dir + "/shims";
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) return status;
  while (const dirent* entry = ::readdir(dir)) {
    const auto pid = static_cast<pid_t>(std::atoi(entry->d_name));
    if (pid > 0 && is_gone(pid)) ::unlink((folder + "/" + entry->d_name).c_str());
  }
  ::closedir(dir);
  return status;
}

}  // namespace moat::hooks
