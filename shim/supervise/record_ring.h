// The reading end of a BPF ring buffer: what a container's network programs have refused.
#pragma once

#include <functional>

#include "oci/fd.h"
#include "policies/network_program.h"

namespace moat::shim {

class RecordRing {
 public:
  static Result<RecordRing> of(UniqueFd ring);
  RecordRing(RecordRing&& other) noexcept;
  RecordRing& operator=(RecordRing&&) = delete;
  ~RecordRing();

  [[nodiscard]] int fd() const { return ring_.raw(); }  // readable when there is something

  // At most `limit` records, so that a flood does not keep the loop.
  void drain(std::size_t limit, const std::function<void(const policies::NetworkRecord&)>& take);

 private:
  explicit RecordRing(UniqueFd ring) : ring_(std::move(ring)) {}
  UniqueFd ring_;
  std::size_t bytes_ = 0;  // of the data
  unsigned char* consumer_ = nullptr;
  unsigned char* producer_ = nullptr;  // behind it the data, twice
};

}  // namespace moat::shim
