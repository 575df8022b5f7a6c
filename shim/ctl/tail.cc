#include "shim/ctl/tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "oci/sys.h"

namespace moat::shim::ctl {

namespace {

// NONBLOCK: a FIFO of that name would hold up the open for ever.
Result<UniqueFd> open_regular(const std::string& path) {
  auto file = oci::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file) return file;
  struct stat status {};
  if (::fstat(file->raw(), &status) != 0) return fail_errno(errno, path);
  if (!S_ISREG(status.st_mode)) return fail(Code::InvalidArgument, path + ": not a regular file");
  return file;
}

}  // namespace

Result<Tail> Tail::open(std::string path) {
  auto file = open_regular(path);
  if (!file) return fail(std::move(file.error()));
  return Tail(std::move(path), std::move(*file));
}

std::optional<std::string> Tail::next() {
  for (;;) {
    if (auto line = lines_.next()) return line;
    if (read_some()) continue;
    if (!begin_again()) return std::nullopt;
    if (auto half = lines_.rest()) return half;
  }
}

bool Tail::read_some() {
  std::array<char, 16384> bytes;  // a node may have a thousand files: not a page more each
  const ssize_t n = ::pread(file_.raw(), bytes.data(), bytes.size(), at_);
  if (n <= 0) return false;
  at_ += n;
  lines_.push({bytes.data(), static_cast<std::size_t>(n)});
  return true;
}

bool Tail::begin_again() {
  struct stat ours {
  }, named{};
  if (::fstat(file_.raw(), &ours) != 0) return false;
  if (ours.st_size < at_) {
    at_ = 0;
    return true;
  }
  if (::lstat(path_.c_str(), &named) != 0) return false;
  // Our descriptor keeps the old file's number from being given to another.
  if (named.st_ino == ours.st_ino && named.st_dev == ours.st_dev) return false;
  auto file = open_regular(path_);
  if (!file) return false;
  file_ = std::move(*file);
  at_ = 0;
  return true;
}

bool Tail::removed() const {
  struct stat ours {};
  return ::fstat(file_.raw(), &ours) != 0 || ours.st_nlink == 0;
}

}  // namespace moat::shim::ctl
