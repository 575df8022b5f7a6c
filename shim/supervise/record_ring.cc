#include "shim/supervise/record_ring.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "oci/sys.h"

namespace moat::shim {

namespace {

std::size_t page() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Without CAP_BPF the map cannot be asked; its descriptor's page in /proc tells, too.
std::size_t size_of(int ring) {
  const auto text = oci::read_file("/proc/self/fdinfo/" + std::to_string(ring), 4096);
  constexpr std::string_view kKey = "max_entries:";
  if (!text) return 0;
  const std::size_t at = text->find(kKey);
  if (at == std::string::npos) return 0;
  std::size_t value = 0;
  const std::size_t from = text->find_first_not_of(" \t", at + kKey.size());
  if (from == std::string::npos) return 0;
  std::from_chars(text->data() + from, text->data() + text->size(), value);
  return value;
}

template <class T>
std::atomic_ref<T> number(unsigned char* at) {
  return std::atomic_ref<T>(*reinterpret_cast<T*>(at));
}

}  // namespace

Result<RecordRing> RecordRing::of(UniqueFd fd) {
  RecordRing ring(std::move(fd));
  const std::size_t bytes = size_of(ring.fd());
  if (bytes == 0) return fail(Code::Internal, "not a BPF ring");
  void* consumer = ::mmap(nullptr, page(), PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd(), 0);
  if (consumer == MAP_FAILED) return fail_errno(errno, "mapping a BPF ring");
  ring.consumer_ = static_cast<unsigned char*>(consumer);
  void* producer = ::mmap(nullptr, page() + 2 * bytes, PROT_READ, MAP_SHARED, ring.fd(),
                          static_cast<off_t>(page()));
  if (producer == MAP_FAILED) return fail_errno(errno, "mapping a BPF ring");
  ring.producer_ = static_cast<unsigned char*>(producer);
  ring.bytes_ = bytes;
  return ring;
}

RecordRing::RecordRing(RecordRing&& other) noexcept
    : ring_(std::move(other.ring_)),
      bytes_(other.bytes_),
      consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)) {}

RecordRing::~RecordRing() {
  if (consumer_ != nullptr) ::munmap(consumer_, page());
  if (producer_ != nullptr) ::munmap(producer_, page() + 2 * bytes_);
}

void RecordRing::drain(std::size_t limit,
                       const std::function<void(const policies::NetworkRecord&)>& take) {
  std::uint64_t at = number<std::uint64_t>(consumer_).load(std::memory_order_relaxed);
  for (std::size_t taken = 0; taken < limit; ++taken) {
    if (at >= number<std::uint64_t>(producer_).load(std::memory_order_acquire)) return;
    unsigned char* head = producer_ + page() + (at & (bytes_ - 1));
    const std::uint32_t word = number<std::uint32_t>(head).load(std::memory_order_acquire);
    if ((word & BPF_RINGBUF_BUSY_BIT) != 0) return;
    const std::uint32_t length = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    const bool known = length == sizeof(policies::NetworkRecord) ||
                       length == offsetof(policies::NetworkRecord, name);
    if ((word & BPF_RINGBUF_DISCARD_BIT) == 0 && known) {
      policies::NetworkRecord record;
      std::memcpy(&record, head + BPF_RINGBUF_HDR_SZ, length);
      take(record);
    }
    at += (length + BPF_RINGBUF_HDR_SZ + 7) & ~std::uint64_t{7};
    number<std::uint64_t>(consumer_).store(at, std::memory_order_release);
  }
}

}  // namespace moat::shim
