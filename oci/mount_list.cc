#include "oci/mount_list.h"

#include <algorithm>
#include <array>
#include <span>

#include "oci/container_path.h"

namespace moat::oci {
namespace {

using Json = nlohmann::json;

// What the runtime would take back if it came later in the list of options.
struct Opposites {
  std::string_view option;
  std::array<std::string_view, 2> undone_by;
};
constexpr std::array kOpposites{
    Opposites{"ro", {"rw", "rrw"}},
    Opposites{"nosuid", {"suid", "rsuid"}},
    Opposites{"nodev", {"dev", "rdev"}},
    Opposites{"noexec", {"exec", "rexec"}},
};

constexpr std::array<std::string_view, 6> kPropagating{"shared", "rshared", "slave",
                                                       "rslave", "private", "rprivate"};

Json& options_of(Json& mount) {
  Json& options = mount["options"];
  if (!options.is_array()) options = Json::array();
  return options;
}

bool has_option(const Json& mount, std::string_view option) {
  const auto options = mount.find("options");
  return options != mount.end() && std::ranges::find(*options, Json(option)) != options->end();
}

void remove_option(Json& options, std::string_view option) {
  options.erase(std::remove(options.begin(), options.end(), Json(option)), options.end());
}

}  // namespace

void set_option(Json& mount, std::string_view option) {
  const auto known = std::ranges::find(kOpposites, option, &Opposites::option);
  if (known != kOpposites.end())
    for (std::string_view other : known->undone_by)
      if (has_option(mount, other)) remove_option(options_of(mount), other);
  if (!has_option(mount, option)) options_of(mount).push_back(option);
}

// The runtime lets the last of them win.
bool is_read_only(const Json& mount) {
  bool read_only = false;
  if (const auto options = mount.find("options"); options != mount.end())
    for (const Json& option : *options) {
      if (option == "ro" || option == "rro") read_only = true;
      if (option == "rw" || option == "rrw") read_only = false;
    }
  return read_only;
}

bool is_bind(const Json& mount) {
  const auto type = mount.find("type");
  return has_option(mount, "bind") || has_option(mount, "rbind") ||
         (type != mount.end() && *type == "bind");
}

bool make_private(Json& mount) {
  const bool shared =
      std::ranges::any_of(std::span(kPropagating).first(4),
                          [&](std::string_view option) { return has_option(mount, option); });
  if (!shared) return false;
  for (std::string_view option : kPropagating) remove_option(options_of(mount), option);
  options_of(mount).push_back("rprivate");
  return true;
}

std::string written_point(std::string_view destination) {
  std::string point;
  for (const std::string& part : path_parts(destination)) point.append("/").append(part);
  return point.empty() ? "/" : point;
}

Result<MountList> MountList::create(const Json& mounts, const std::vector<std::string>& points) {
  if (mounts.size() != points.size())
    return fail(Code::Internal, std::to_string(mounts.size()) + " mounts, but " +
                                    std::to_string(points.size()) + " mount points");
  MountList list;
  for (std::size_t i = 0; i < points.size(); ++i) list.entries_.push_back({mounts[i], points[i]});
  return list;
}

MountEntry* MountList::last_on(std::string_view path, bool with_added) {
  MountEntry* last = nullptr;
  for (MountEntry& entry : entries_)
    if ((with_added || !entry.added) && at_or_below(path, entry.point)) last = &entry;
  return last;
}

MountEntry* MountList::covering(std::string_view path) {
  return last_on(path, true);
}
MountEntry* MountList::covering_original(std::string_view path) {
  return last_on(path, false);
}

MountEntry* MountList::exactly(std::string_view path) {
  MountEntry* entry = covering(path);
  return entry != nullptr && entry->point == path ? entry : nullptr;
}

void MountList::insert(Json mount, const std::string& point) {
  const MountEntry* under = covering(point);
  auto at = entries_.begin() + (under == nullptr ? 0 : under - entries_.data() + 1);
  at = std::find_if(at, entries_.end(),
                    [&](const MountEntry& entry) { return below(entry.point, point); });
  entries_.insert(at, MountEntry{std::move(mount), point, true});
}

Json MountList::to_json() const {
  Json mounts = Json::array();
  for (const MountEntry& entry : entries_) mounts.push_back(entry.mount);
  return mounts;
}

}  // namespace moat::oci
