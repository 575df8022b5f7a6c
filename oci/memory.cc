#include "oci/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace moat::oci {

namespace {

// Never what may have been written to, relocations included: dropping it would restore the file's
// bytes. Neither architecture's ABI allows a relocation in a segment that is not writable.
int unmap_clean(dl_phdr_info* object, std::size_t, void* data) {
  const std::uintptr_t page = *static_cast<const std::uintptr_t*>(data);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& header = object->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + header.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = object->dlpi_addr + header.p_vaddr + header.p_memsz;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void keep_heap_small() {
  constexpr int kEarly = 64 << 10;
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, kEarly);
  ::mallopt(M_MMAP_THRESHOLD, kEarly);
}

void let_go_of_memory() {
  ::malloc_trim(0);
  auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  ::dl_iterate_phdr(unmap_clean, &page);
}

void Settling::begin() {
  constexpr std::chrono::milliseconds kSettles{1000};
  if (std::exchange(begun_, true)) return;
  loop_.after(kSettles, [this] {
    begun_ = false;
    let_go_of_memory();
  });
}

}  // namespace moat::oci
