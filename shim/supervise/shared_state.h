// The phase word of a container's network programs, as memory: flipped with a store, seen by the
// next call.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "policies/network_program.h"

namespace moat::shim {

class SharedState {
 public:
  // `map`: of bpf::make_state(). Only the shim writes.
  static Result<SharedState> of(int map, bool writable) {
    void* at = ::mmap(nullptr, kSize, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, map, 0);
    if (at == MAP_FAILED) return fail_errno(errno, "mapping a BPF map");
    return SharedState(static_cast<policies::NetworkState*>(at));
  }
  SharedState(SharedState&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  SharedState& operator=(SharedState&&) = delete;
  ~SharedState() {
    if (state_ != nullptr) ::munmap(state_, kSize);
  }

  void enter(policies::Phase phase) {
    std::atomic_ref(state_->phase).store(policies::phase_word(phase));
  }
  void let_through(std::uint64_t cgroup) { std::atomic_ref(state_->session_cgroup).store(cgroup); }
  [[nodiscard]] std::uint64_t lost() const { return std::atomic_ref(state_->lost).load(); }

 private:
  static constexpr std::size_t kSize = 4096;  // the kernel rounds the map up to pages
  explicit SharedState(policies::NetworkState* state) : state_(state) {}
  policies::NetworkState* state_;
};

}  // namespace moat::shim
