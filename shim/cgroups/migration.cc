#include "shim/cgroups/migration.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "oci/sys.h"

namespace moat::shim {

namespace {

using Flag = std::shared_ptr<std::atomic<bool>>;

constexpr std::size_t kStack = 128U << 10;

// The path behind `prefix` in a line of /proc/self/cgroup.
std::string path_behind(std::string_view text, std::string_view prefix) {
  const std::size_t at = text.find(prefix);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + prefix.size());
  return std::string(text.substr(0, text.find('\n')));
}

// The list of threads of the cgroup we are in, whatever the hierarchy: the lock is the same.
Result<UniqueFd> own_threads() {
  const auto text = oci::read_file("/proc/self/cgroup", 1U << 16);
  if (!text) return fail(Error(text.error()));
  const std::string unified = path_behind(*text, "0::");
  for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
    if (auto file = oci::open_file(root + unified + "/cgroup.threads", O_WRONLY)) return file;
  return oci::open_file("/sys/fs/cgroup/pids" + path_behind(*text, ":pids:") + "/tasks", O_WRONLY);
}

// Moves this thread to where it is. Only this thread, and by its number: the kernel takes no lock
// for the process that writes "0", and should somebody have moved the shim a moment ago, it stays.
void move_to_own_place() {
  if (const auto threads = own_threads())
    (void)oci::write_all(threads->raw(), std::to_string(::syscall(SYS_gettid)));
}

void* wait_for_grace(void* data) {
  const std::unique_ptr<Flag> waiting(static_cast<Flag*>(data));
  move_to_own_place();
  **waiting = false;
  return nullptr;
}

}  // namespace

void Migration::expect() {
  if (waiting_->exchange(true)) return;
  auto flag = std::make_unique<Flag>(waiting_);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  ::pthread_attr_setstacksize(&attributes, kStack);
  pthread_t thread{};
  if (::pthread_create(&thread, &attributes, wait_for_grace, flag.get()) == 0)
    (void)flag.release();
  else
    *waiting_ = false;
  ::pthread_attr_destroy(&attributes);
}

}  // namespace moat::shim
