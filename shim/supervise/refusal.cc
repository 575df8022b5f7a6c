#include "shim/supervise/refusal.h"

#include <linux/fanotify.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace moat::shim {

namespace {

bool answer_call(int listener, std::uint64_t id, int err) {
  seccomp_notif_resp response{};
  response.id = id;
  response.error = -err;
  if (err == 0) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0;
}

bool answer_open(int group, int fd, bool allow) {
  fanotify_response response{};
  response.fd = fd;
  response.response = allow ? FAN_ALLOW : FAN_DENY;
  return ::write(group, &response, sizeof response) == sizeof response;
}

}  // namespace

std::size_t settle_calls(JournalPage& page, std::uint32_t number, int listener, int err) {
  std::size_t count = 0;
  for (Slot& slot : page.slots) {
    if (slot.listener.load(std::memory_order_acquire) != number) continue;
    if (answer_call(listener, slot.question.id, err)) ++count;
    slot.listener.store(0, std::memory_order_release);
  }
  return count;
}

std::size_t settle_opens(JournalPage& page, std::uint32_t number, int group, bool allow) {
  std::size_t count = 0;
  for (HeldOpen& held : page.opens) {
    if (held.group.load(std::memory_order_acquire) != number) continue;
    if (answer_open(group, held.fd, allow)) ++count;
    held.group.store(0, std::memory_order_release);
  }
  if (page.event_group.load(std::memory_order_acquire) != number) return count;
  // A supervisor that died on return from read(): what it was given is here, and nowhere else.
  auto left = static_cast<long>(page.events.size());
  auto* event = reinterpret_cast<fanotify_event_metadata*>(page.events.data());
  for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
    if (event->fd >= 0 && answer_open(group, event->fd, allow)) ++count;
  }
  page.events.fill(std::byte{0});
  return count;
}

}  // namespace moat::shim
