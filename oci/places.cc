#include "oci/places.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "oci/container_path.h"
#include "oci/mount_list.h"
#include "oci/rootfs.h"
#include "oci/sys.h"
#include "oci/walk.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

using policies::Mode;

Result<std::string> path_of(int fd) {
  std::error_code ec;
  auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ec);
  if (ec) return fail_errno(ec.value(), "readlink /proc/self/fd");
  return path.string();
}

bool is_folder(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}

// Some phase may run files of this place: all of it, or something named below it.
bool runs_files(const policies::Policy& policy, const std::string& path) {
  return std::ranges::any_of(policies::kPhases, [&](policies::Phase phase) {
    const policies::Boundary& boundary = policy.boundary(phase);
    for (const policies::PathSet* set : {&boundary.exec_files, &boundary.programs}) {
      if (set->contains(path) || set->contains(path + "/file")) return true;
      for (const std::string& pattern : set->patterns())
        if (below(pattern, path)) return true;
    }
    return false;
  });
}

class Finder {
 public:
  Finder(const Spec& spec, const policies::Policy& policy, Mode mode, UniqueFd root)
      : spec_(spec),
        policy_(policy),
        enforce_(mode == Mode::Enforce),
        root_(std::move(root)),
        mounts_(spec.mounts()) {}

  Result<Places> run() {
    for (const SpecMount& mount : mounts_)
      places_.mount_points.push_back(mount_point(mount.destination));
    if (enforce_)
      if (auto status = find_all(policy_.scratch(), true); !status)
        return fail(std::move(status.error()));
    if (auto status = find_all(policy_.models(), false); !status)
      return fail(std::move(status.error()));
    if (enforce_)
      if (auto status = make_mount_points(); !status) return fail(std::move(status.error()));
    return std::move(places_);
  }

 private:
  // What cannot be followed is taken as written: the runtime will say what is wrong with it.
  std::string mount_point(const std::string& destination) const {
    if (auto walked = walk(root_.raw(), destination, places_.mount_points)) return walked->path;
    return written_point(destination);
  }

  Status find_all(const std::vector<std::string>& paths, bool scratch) {
    for (const std::string& path : paths) {
      const std::string what = (scratch ? "scratch " : "model ") + policies::printable(path);
      auto place = find(path, scratch);
      if (!place && enforce_) return fail(std::move(place.error()).in(what));
      if (!place) {
        places_.notes.push_back(what + ": " + place.error().what);
      } else if (!*place) {
        places_.notes.push_back(what + ": does not exist");
      } else {
        (*place)->exec = scratch && runs_files(policy_, path);
        (scratch ? places_.scratch : places_.models).push_back(std::move(**place));
      }
    }
    return {};
  }

  Result<std::optional<Place>> find(const std::string& path, bool scratch) {
    auto walked = walk(root_.raw(), path, places_.mount_points);
    if (!walked) return fail(std::move(walked.error()));
    Place place{path, walked->path.substr(1), walked->directory, false, ""};
    if (walked->special) return fail(Code::InvalidArgument, "is neither a folder nor a file");
    const auto on = covering(walked->path);
    if (!on) return in_image(std::move(place), *walked, scratch);
    place.directory = true;
    const bool exact = places_.mount_points[*on] == walked->path;
    if (exact || !is_bind(mount(*on))) return place;
    return in_volume(std::move(place), *on, scratch);
  }

  Result<std::optional<Place>> in_image(Place place, const Walked& walked, bool scratch) {
    if (walked.exists) return place;
    if (!scratch) return std::nullopt;
    if (spec_.root_readonly()) return place;
    if (auto status = make(root_.raw(), place.resolved, walked.path, host_ids()); !status)
      return fail(std::move(status.error()));
    place.directory = true;
    return place;
  }

  // Never out of the volume: its symlinks may be anybody's.
  Result<std::optional<Place>> in_volume(Place place, std::size_t on, bool scratch) {
    const std::string inside(remainder("/" + place.resolved, places_.mount_points[on]));
    auto volume = open_file(mounts_[on].source, O_PATH);
    if (!volume) return fail(std::move(volume.error()));
    auto found = open_below(volume->raw(), inside, O_PATH, RESOLVE_BENEATH);
    if (!found && found.error().err == ENOENT) {
      if (!scratch) return std::nullopt;
      if (is_read_only(mount(on))) return place;
      // An id-mapped volume holds the container's ids as they are.
      const Owner ids =
          mount(on).contains("uidMappings") ? Owner{spec_.uid(), spec_.gid()} : host_ids();
      if (auto status = make(volume->raw(), inside, "/" + place.resolved, ids); !status)
        return fail(std::move(status.error()));
      found = open_below(volume->raw(), inside, O_PATH, RESOLVE_BENEATH);
    }
    if (!found && found.error().err == EXDEV)
      return fail(Code::FailedPrecondition,
                  "a symlink in it leads out of the volume mounted at " + places_.mount_points[on]);
    if (!found) return fail(std::move(found.error()));
    return hold(std::move(place), on, volume->raw(), std::move(*found));
  }

  Result<std::optional<Place>> hold(Place place, std::size_t on, int volume, UniqueFd found) {
    auto base = path_of(volume), real = path_of(found.raw());
    if (!base) return fail(std::move(base.error()));
    if (!real) return fail(std::move(real.error()));
    // Moved away since it was opened: somebody is at work in there.
    if (!below(*real, *base)) return fail(Code::Unavailable, "moved while it was looked at");
    place.resolved = places_.mount_points[on].substr(1);
    place.resolved.append("/").append(remainder(*real, *base));
    place.directory = is_folder(found.raw());
    place.source = std::move(*real);
    places_.held.push_back({"/" + place.resolved, std::move(found)});
    return place;
  }

  Status make(int base, std::string_view inside, const std::string& point, Owner owner) {
    const bool shared = point == "/tmp" || point == "/var/tmp";
    return make_folders(base, inside, shared ? 01777 : 0755, owner);
  }

  [[nodiscard]] Owner host_ids() const { return {spec_.host_uid(), spec_.host_gid()}; }

  // The runtime makes the mount points of volumes, but could not inside a model that is read-only
  // by then. In what the pod itself has read-only it could not without us either.
  Status make_mount_points() {
    for (std::size_t i = 0; i < mounts_.size(); ++i) {
      const std::string& point = places_.mount_points[i];
      const bool in_model = std::ranges::any_of(
          places_.models, [&](const Place& model) { return below(point, "/" + model.resolved); });
      if (!in_model || mounts_file(i)) continue;
      if (auto status = make_mount_point(point, covering_before(point, i)); !status)
        return fail(std::move(status.error()).in("mount point " + point));
    }
    return {};
  }

  // The runtime runs as we do.
  const Owner runtime_{::geteuid(), ::getegid()};

  Status make_mount_point(const std::string& point, std::optional<std::size_t> on) {
    if (!on) return make_folders(root_.raw(), point, 0755, runtime_);
    if (!is_bind(mount(*on)) || is_read_only(mount(*on))) return {};
    auto volume = open_file(mounts_[*on].source, O_PATH);
    if (!volume) return fail(std::move(volume.error()));
    return make_folders(volume->raw(), remainder(point, places_.mount_points[*on]), 0755, runtime_);
  }

  // Also when its source cannot be looked at: the runtime will say why.
  [[nodiscard]] bool mounts_file(std::size_t i) const {
    struct stat info {};
    if (!is_bind(mount(i))) return false;
    return ::stat(mounts_[i].source.c_str(), &info) != 0 || !S_ISDIR(info.st_mode);
  }

  [[nodiscard]] const nlohmann::json& mount(std::size_t i) const {
    return spec_.json()["mounts"][i];
  }

  std::optional<std::size_t> covering(std::string_view path) const {
    return covering_before(path, places_.mount_points.size());
  }

  std::optional<std::size_t> covering_before(std::string_view path, std::size_t end) const {
    for (std::size_t i = end; i > 0; --i)
      if (at_or_below(path, places_.mount_points[i - 1])) return i - 1;
    return std::nullopt;
  }

  const Spec& spec_;
  const policies::Policy& policy_;
  bool enforce_;
  UniqueFd root_;
  std::vector<SpecMount> mounts_;
  Places places_;
};

}  // namespace

Result<Places> find_places(const Spec& spec, const std::string& rootfs,
                           const policies::Policy& policy, Mode mode) {
  auto root = open_root(rootfs);
  if (!root) return fail(std::move(root.error()));
  return Finder(spec, policy, mode, std::move(*root)).run();
}

Status verify_places(const std::vector<HeldPlace>& held, pid_t init) {
  if (held.empty()) return {};
  auto root = open_root("/proc/" + std::to_string(init) + "/root");
  if (!root) return fail(std::move(root.error()));
  for (const HeldPlace& place : held) {
    auto mounted =
        open_below(root->raw(), place.point, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
    struct stat found {};
    struct stat there {};
    if (mounted && ::fstat(place.fd.raw(), &found) == 0 && ::fstat(mounted->raw(), &there) == 0 &&
        found.st_dev == there.st_dev && found.st_ino == there.st_ino)
      continue;
    return fail(Code::FailedPrecondition,
                place.point + ": was replaced in its volume while the container was created");
  }
  return {};
}

}  // namespace moat::oci
