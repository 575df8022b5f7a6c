// What moat keeps in its state folder (/run/moat); hooks/removal.h takes away what a shim could
// not.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "policies/result.h"

namespace moat::shim {

// Lets tools find a running shim: <state_dir>/shims/<pid>.json, removed with the object.
class ShimRecord {
 public:
  struct Identity {
    std::string ns, id, socket;
  };
  static Result<ShimRecord> write(const std::string& state_dir, const Identity& identity);
  ShimRecord(ShimRecord&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ShimRecord& operator=(ShimRecord&&) = delete;
  ~ShimRecord();

 private:
  explicit ShimRecord(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace moat::shim
