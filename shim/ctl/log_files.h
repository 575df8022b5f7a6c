// Where event files are below a log folder: containers/*.jsonl and pods/*/*.jsonl.
#pragma once

#include <string>
#include <vector>

#include "policies/result.h"

namespace moat::shim::ctl {

struct LogFolders {
  std::vector<std::string> all;      // to watch: `log_dir`, which must be there, and what is below
  std::vector<std::string> holding;  // those of them that hold event files
};

// Symlinks are not followed. Sorted, so that the same files come in the same order.
Result<LogFolders> log_folders(const std::string& log_dir);
std::vector<std::string> log_files(const LogFolders& folders);

}  // namespace moat::shim::ctl
