#include "shim/supervise/journal.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace moat::shim {

void Journal::Unmap::operator()(JournalPage* page) const {
  ::munmap(page, sizeof *page);
}

Result<Journal> Journal::map(UniqueFd memory) {
  void* at =
      ::mmap(nullptr, sizeof(JournalPage), PROT_READ | PROT_WRITE, MAP_SHARED, memory.raw(), 0);
  if (at == MAP_FAILED) return fail_errno(errno, "mmap of the journal");
  return Journal(std::move(memory), static_cast<JournalPage*>(at));
}

Result<Journal> Journal::create() {
  UniqueFd memory(::memfd_create("moat-journal", MFD_CLOEXEC));
  if (!memory.valid()) return fail_errno(errno, "memfd_create of the journal");
  if (::ftruncate(memory.raw(), sizeof(JournalPage)) != 0)
    return fail_errno(errno, "ftruncate of the journal");
  return map(std::move(memory));  // fresh pages are zero: every slot is free
}

Result<Journal> Journal::attach(UniqueFd memory) {
  return map(std::move(memory));
}

Slot* Journal::take(std::uint32_t listener) {
  for (Slot& slot : page_->slots) {
    if (slot.listener.load(std::memory_order_relaxed) != 0) continue;
    std::memset(&slot.question, 0, sizeof slot.question);  // the kernel refuses anything else
    slot.listener.store(listener, std::memory_order_release);
    return &slot;
  }
  return nullptr;
}

void Journal::release(Slot* slot) {
  slot->listener.store(0, std::memory_order_release);
}

Tally* Journal::tally(std::uint32_t container) {
  Tally* free = nullptr;
  for (Tally& tally : page_->tallies) {
    if (tally.container == container) return &tally;
    if (tally.container == 0 && free == nullptr) free = &tally;
  }
  if (free == nullptr) return nullptr;
  *free = Tally{};
  free->container = container;
  return free;
}

}  // namespace moat::shim
