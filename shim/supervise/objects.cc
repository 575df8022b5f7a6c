#include "shim/supervise/objects.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace moat::shim {

namespace {

// `numbers`: /proc/self/fd, which need not be looked up for every open.
std::string path_of(int numbers, int fd) {
  char buffer[4096];
  const ssize_t n = ::readlinkat(numbers, std::to_string(fd).c_str(), buffer, sizeof buffer);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

HeldOpen* hold(JournalPage& page, std::uint32_t group, int fd) {
  for (HeldOpen& held : page.opens) {
    if (held.group.load(std::memory_order_relaxed) != 0) continue;
    held.fd = fd;
    held.group.store(group, std::memory_order_release);
    return &held;
  }
  return nullptr;
}

void respond(int group, int fd, std::uint32_t response) {
  fanotify_response answer{};
  answer.fd = fd;
  answer.response = response;
  (void)!::write(group, &answer, sizeof answer);  // ENOENT: the asker was killed meanwhile
  ::close(fd);
}

}  // namespace

HeldEvent::~HeldEvent() {
  if (held_ != nullptr) answer(FAN_DENY);
}

void HeldEvent::allow() && {
  answer(FAN_ALLOW);
}

void HeldEvent::deny() && {
  answer(FAN_DENY);
}

void HeldEvent::answer(std::uint32_t response) {
  HeldOpen* held = std::exchange(held_, nullptr);
  respond(group_, held->fd, response);
  held->group.store(0, std::memory_order_release);
}

ObjectGroup::ObjectGroup(UniqueFd group, std::uint32_t number)
    : group_(std::move(group)),
      numbers_(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)),
      number_(number) {}

std::size_t ObjectGroup::read(Journal& journal, const Handler& handle) {
  JournalPage& page = journal.page();
  page.event_group.store(number_, std::memory_order_release);
  const ssize_t n = ::read(group_.raw(), page.events.data(), page.events.size());
  if (n <= 0) return 0;
  std::size_t count = 0;
  auto left = static_cast<long>(n);
  const auto* event = reinterpret_cast<const fanotify_event_metadata*>(page.events.data());
  for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
    if (event->vers != FANOTIFY_METADATA_VERSION || event->fd < 0) continue;
    ++count;
    HeldOpen* held = hold(page, number_, event->fd);
    if (held == nullptr) {  // more waiting opens than the journal remembers: refused, not forgotten
      respond(group_.raw(), event->fd, FAN_DENY);
      continue;
    }
    OpenEvent open;
    open.tid = event->pid;
    open.exec = (event->mask & FAN_OPEN_EXEC_PERM) != 0;
    open.path = path_of(numbers_.raw(), event->fd);
    handle(std::move(open), HeldEvent(group_.raw(), held));
  }
  // What the buffer holds is in flight, whoever looks: no second word says how much of it is.
  std::memset(page.events.data(), 0, static_cast<std::size_t>(n));
  return count;
}

}  // namespace moat::shim
