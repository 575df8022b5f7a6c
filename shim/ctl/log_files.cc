#include "shim/ctl/log_files.h"

#include <algorithm>
#include <filesystem>

namespace moat::shim::ctl {

namespace {

namespace fs = std::filesystem;

// A folder that vanishes while it is read is as good as empty.
std::vector<std::string> entries(const std::string& folder, fs::file_type type) {
  std::vector<std::string> found;
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    std::error_code unknown;
    if (entry->symlink_status(unknown).type() == type) found.push_back(entry->path().string());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

Result<LogFolders> log_folders(const std::string& log_dir) {
  std::error_code problem;
  const fs::directory_iterator readable(log_dir, problem);
  if (problem) return fail_errno(problem.value(), log_dir);
  const std::string pods = log_dir + "/pods";
  LogFolders folders;
  folders.holding = entries(pods, fs::file_type::directory);
  folders.holding.push_back(log_dir + "/containers");
  folders.all = folders.holding;
  folders.all.insert(folders.all.begin(), {log_dir, pods});
  return folders;
}

std::vector<std::string> log_files(const LogFolders& folders) {
  std::vector<std::string> files;
  for (const std::string& folder : folders.holding)
    for (std::string& file : entries(folder, fs::file_type::regular))
      if (file.ends_with(".jsonl")) files.push_back(std::move(file));
  return files;
}

}  // namespace moat::shim::ctl
