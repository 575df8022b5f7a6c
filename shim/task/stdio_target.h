// Where a client wants a standard stream to go, from the URI it gave. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

struct StdioTarget {
  enum class Kind {
    Null,    // no URI
    Fifo,    // a path, with or without fifo://: a FIFO, or a file that is appended to
    File,    // file://, made if missing
    Binary,  // binary:// and binary-v2://: a logging program reads the stream
  };
  Kind kind = Kind::Null;
  std::string path;
  std::vector<std::string> arguments;  // of a program: each key of the query, then its value
  bool ready_byte = false;             // binary-v2: end of file does not mean ready
};

Result<StdioTarget> parse_stdio_target(const std::string& uri);

}  // namespace moat::shim
