// One growing file, line by line: survives rotation (another file of its name) and truncation.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "oci/fd.h"
#include "policies/result.h"
#include "shim/ctl/line_buffer.h"

namespace moat::shim::ctl {

class Tail {
 public:
  static Result<Tail> open(std::string path);  // regular files only

  // The next complete line; nothing at the present end of the file. A half line stays until it is
  // complete, or its file was replaced or cut: then it comes as it is.
  std::optional<std::string> next();

  // The half line at the end, when nobody will wait for the other half.
  std::optional<std::string> rest() { return lines_.rest(); }

  [[nodiscard]] const std::string& path() const { return path_; }

  // It has no name any more: once read to its end there will be nothing new.
  [[nodiscard]] bool removed() const;

 private:
  Tail(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  bool read_some();    // false at the end of the file
  bool begin_again();  // at the end: true if there is another beginning to read from

  std::string path_;
  UniqueFd file_;
  off_t at_ = 0;
  LineBuffer lines_;
};

}  // namespace moat::shim::ctl
