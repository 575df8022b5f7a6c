#include "shim/cgroups/file_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>

#include <array>

namespace moat::shim {

Result<std::unique_ptr<FileWatch>> FileWatch::place(oci::Loop& loop,
                                                    std::span<const std::string> files,
                                                    std::function<void()> changed) {
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd.valid()) return fail_errno(errno, "inotify");
  for (const std::string& file : files)
    if (::inotify_add_watch(fd.raw(), file.c_str(), IN_MODIFY | IN_DELETE_SELF) < 0)
      return fail_errno(errno, file);
  const int raw = fd.raw();
  auto watched = loop.watch(raw, EPOLLIN, [raw, changed = std::move(changed)](std::uint32_t) {
    alignas(inotify_event) std::array<char, 1024> news{};
    while (::read(raw, news.data(), news.size()) > 0) {
    }
    changed();
  });
  if (!watched) return fail(std::move(watched.error()));
  return std::unique_ptr<FileWatch>(new FileWatch(loop, std::move(fd)));
}

FileWatch::~FileWatch() {
  loop_.forget(fd_.raw());
}

}  // namespace moat::shim
