#include "shim/supervise/mount_watch.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>

#include "oci/sys.h"

namespace moat::shim {

namespace {

std::vector<MountEntry> missing_in(const std::vector<MountEntry>& some,
                                   const std::vector<MountEntry>& others) {
  std::vector<MountEntry> missing;
  std::ranges::copy_if(some, std::back_inserter(missing), [&](const MountEntry& mount) {
    return std::ranges::none_of(others, [&](const MountEntry& other) {
      return other.id == mount.id && other.point == mount.point;
    });
  });
  return missing;
}

}  // namespace

MountChanges changes_between(const std::vector<MountEntry>& before,
                             const std::vector<MountEntry>& now) {
  return {missing_in(now, before), missing_in(before, now)};
}

Result<std::unique_ptr<MountWatch>> MountWatch::create(oci::Loop& loop, pid_t init,
                                                       OnChange on_change) {
  std::unique_ptr<MountWatch> self(new MountWatch(loop, init, std::move(on_change)));
  auto list = oci::open_file("/proc/" + std::to_string(init) + "/mountinfo", O_RDONLY);
  if (!list) return fail(std::move(list.error()));
  auto pidfd = oci::pidfd_open(init);
  if (!pidfd) return fail(std::move(pidfd.error()));
  auto known = mounts_of(init);
  if (!known) return fail(std::move(known.error()));
  self->known_ = std::move(*known);
  self->list_ = std::move(*list);
  self->pidfd_ = std::move(*pidfd);
  // It is always readable; a change since the last look is an error and urgent.
  auto watched = loop.watch(self->list_.raw(), EPOLLPRI | EPOLLERR,
                            [raw = self.get()](std::uint32_t) { raw->look(); });
  if (!watched) return fail(std::move(watched.error()));
  watched =
      loop.watch(self->pidfd_.raw(), EPOLLIN, [raw = self.get()](std::uint32_t) { raw->stop(); });
  if (!watched) return fail(std::move(watched.error()));
  return self;
}

// What cannot be read is of an init that is about to be gone.
void MountWatch::look() {
  auto now = mounts_of(init_);
  if (!now || now->empty()) return;
  const MountChanges changes = changes_between(std::exchange(known_, *now), *now);
  if (!changes.arrived.empty() || !changes.gone.empty()) on_change_(changes);
}

void MountWatch::stop() {
  for (UniqueFd* fd : {&list_, &pidfd_}) {
    if (!fd->valid()) continue;
    loop_.forget(fd->raw());
    fd->reset();
  }
}

}  // namespace moat::shim
