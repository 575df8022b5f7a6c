// The mounts of config.json as a list that knows where each ends up, so that one more can be put
// after what it lies on and before what lies on it.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::oci {

// Adds the option where it is missing and takes out what says the opposite ("ro": "rw", "rrw").
void set_option(nlohmann::json& mount, std::string_view option);
bool is_read_only(const nlohmann::json& mount);
bool is_bind(const nlohmann::json& mount);

// Replaces shared and slave propagation by rprivate; says whether there was any.
bool make_private(nlohmann::json& mount);

// A destination as it is written, when nobody looked where it leads: "tmp//x/" is "/tmp/x".
std::string written_point(std::string_view destination);

struct MountEntry {
  nlohmann::json mount;
  std::string point;  // absolute in the container, no symlinks
  bool added = false;
};

class MountList {
 public:
  // `points` has one entry for each mount.
  static Result<MountList> create(const nlohmann::json& mounts,
                                  const std::vector<std::string>& points);

  // What a process sees at `path`: the last mount made on or above it. Null: the image itself.
  MountEntry* covering(std::string_view path);
  MountEntry* covering_original(std::string_view path);  // without what was added
  MountEntry* exactly(std::string_view path);            // covering, and its point is `path`

  void insert(nlohmann::json mount, const std::string& point);

  [[nodiscard]] std::vector<MountEntry>& entries() { return entries_; }
  [[nodiscard]] nlohmann::json to_json() const;

 private:
  MountEntry* last_on(std::string_view path, bool with_added);
  std::vector<MountEntry> entries_;
};

}  // namespace moat::oci
