// Tells when files changed that the kernel writes. Inotify and not poll: it is told of cgroup files
// as of any other, and one descriptor serves several.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "oci/fd.h"
#include "oci/loop.h"
#include "policies/result.h"

namespace moat::shim {

class FileWatch {
 public:
  // `changed` may be called once too often, and never from inside place(). All files must be there.
  static Result<std::unique_ptr<FileWatch>> place(oci::Loop& loop,
                                                  std::span<const std::string> files,
                                                  std::function<void()> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  FileWatch(oci::Loop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  oci::Loop& loop_;
  UniqueFd fd_;
};

}  // namespace moat::shim
