// Waits until something changes below a log folder (inotify), or until it is time to stop.
#pragma once

#include <map>
#include <set>
#include <string>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::shim::ctl {

struct Changes {
  bool stop = false;              // INT or TERM arrived, or nobody reads our output any more
  bool names = false;             // files or folders came or went: look again
  std::set<std::string> folders;  // where files grew
};

class LogWatch {
 public:
  // Blocks INT and TERM for this process: from here on they are read, not delivered.
  static Result<LogWatch> create();

  // True if the folder was not watched yet. A folder that is not there is not watched, and false.
  Result<bool> add(const std::string& folder);
  Result<Changes> wait();

 private:
  LogWatch(UniqueFd inotify, UniqueFd signals)
      : inotify_(std::move(inotify)), signals_(std::move(signals)) {}
  Status read_changes(Changes& changes);

  UniqueFd inotify_, signals_;
  std::map<int, std::string> watched_;  // by inotify's number
};

}  // namespace moat::shim::ctl
