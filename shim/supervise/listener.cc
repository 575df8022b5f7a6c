#include "shim/supervise/listener.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

namespace moat::shim {

namespace {
// Linux 6.6; SET_FLAGS takes its argument by value. Older headers have neither.
constexpr unsigned long kSetFlags = 0x40082104;
constexpr unsigned long kSyncWakeUp = 1;
}  // namespace

Pending::~Pending() {
  if (slot_ != nullptr) answer(EPERM);
}

void Pending::go_on() && {
  answer(0);
}

void Pending::done() && {
  (void)port_->done(slot_->question.id);
  Journal::release(std::exchange(slot_, nullptr));
}

void Pending::refuse(int err) && {
  answer(err);
}

void Pending::answer(int err) {
  // ENOENT means that the asker was interrupted or died: there is nobody left to refuse.
  (void)port_->send(slot_->question.id, err);
  Journal::release(std::exchange(slot_, nullptr));
}

Listener::Listener(UniqueFd fd, std::uint32_t number) : fd_(std::move(fd)), number_(number) {
  (void)::ioctl(fd_.raw(), kSetFlags, kSyncWakeUp);
}

Result<Slot*> Listener::receive(Journal& journal) {
  Slot* slot = journal.take(number_);
  if (slot == nullptr) return fail(Code::Unavailable, "journal is full");
  if (::ioctl(fd_.raw(), SECCOMP_IOCTL_NOTIF_RECV, &slot->question) == 0) return slot;
  const int err = errno;
  Journal::release(slot);
  return fail_errno(err, "receiving a seccomp notification");
}

Status Listener::send(std::uint64_t id, int err) {
  seccomp_notif_resp response{};
  response.id = id;
  if (err == 0)
    response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  else
    response.error = -err;
  if (::ioctl(fd_.raw(), SECCOMP_IOCTL_NOTIF_SEND, &response) == 0) return {};
  return fail_errno(errno, "answering a seccomp notification");
}

Status Listener::done(std::uint64_t id) {
  seccomp_notif_resp response{};
  response.id = id;
  if (::ioctl(fd_.raw(), SECCOMP_IOCTL_NOTIF_SEND, &response) == 0) return {};
  return fail_errno(errno, "answering a seccomp notification");
}

bool Listener::still_waiting(std::uint64_t id) {
  return ::ioctl(fd_.raw(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

}  // namespace moat::shim
