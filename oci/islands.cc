#include "oci/islands.h"

#include <algorithm>
#include <array>

#include "oci/container_path.h"
#include "policies/text.h"

namespace moat::oci {
namespace {

using Json = nlohmann::json;
using policies::Mode;

std::string point_of(const Place& place) {
  return "/" + place.resolved;
}

// Parents first; of several names for one place the first stays.
std::vector<Place> ordered(std::vector<Place> places) {
  std::ranges::stable_sort(places, {}, [](const Place& p) { return depth(point_of(p)); });
  std::vector<Place> once;
  for (Place& place : places)
    if (std::ranges::find(once, place.resolved, &Place::resolved) == once.end())
      once.push_back(std::move(place));
  return once;
}

// /dev is the runtime's own, but mounts such as /dev/shm are made to be written to.
Status check(const Place& place, const char* kind, bool scratch) {
  const std::string point = point_of(place);
  const std::string what = std::string(kind) + " '" + policies::printable(place.path) + "': ";
  if (policies::find_invalid_utf8(point)) return fail(Code::InvalidArgument, what + "not UTF-8");
  if (point == "/")
    return fail(Code::InvalidArgument, what + "leads to '/', the whole container: name a folder");
  for (const char* system : {"/proc", "/sys", "/dev"})
    if (at_or_below(point, system) && !(scratch && below(point, "/dev")))
      return fail(Code::InvalidArgument,
                  what + "lies in " + system + ", which belongs to the container runtime");
  return {};
}

void harden(Json& mount, bool read_only, bool exec) {
  if (read_only) set_option(mount, "ro");
  for (const char* option : {"nosuid", "nodev"}) set_option(mount, option);
  if (!exec) set_option(mount, "noexec");
}

Json image_bind(const std::string& point, const std::string& source, const char* access) {
  return {{"destination", point},
          {"type", "bind"},
          {"source", source},
          {"options", {"bind", access, "rprivate"}}};
}

// The same mount again, of a part of it: id mappings and flags come along.
Json part_of(const Json& covering, const std::string& point, const std::string& source) {
  Json mount = covering;
  mount["destination"] = point;
  mount["source"] = source;
  return mount;
}

bool sticky(const std::string& point) {
  return point == "/tmp" || point == "/var/tmp";
}

// A tmpfs starts empty, so that a place in it is an empty one of its own.
Json fresh_tmpfs(const Spec& spec, const std::string& point) {
  return {{"destination", point},
          {"type", "tmpfs"},
          {"source", "tmpfs"},
          {"options",
           {"rw", sticky(point) ? "mode=1777" : "mode=0755", "uid=" + std::to_string(spec.uid()),
            "gid=" + std::to_string(spec.gid())}}};
}

// What an island of its own would be made of; null when the container cannot write there anyway.
Json island_mount(MountList& mounts, const Spec& spec, const RewriteInput& input,
                  const Place& place, RewriteOutput& output) {
  const std::string point = point_of(place);
  const MountEntry* under = mounts.covering_original(point);
  if (under == nullptr)
    return spec.root_readonly() ? Json() : image_bind(point, input.rootfs + point, "rw");
  if (is_read_only(under->mount)) return {};
  if (is_bind(under->mount) && !place.source.empty())
    return part_of(under->mount, point, place.source);
  if (under->mount.value("type", Json()) == "tmpfs" && !at_or_below(point, "/dev"))
    return fresh_tmpfs(spec, point);
  output.notes.push_back("scratch " + place.path + ": lies in the mount " + under->point +
                         " and cannot be one of its own; it is read-only from load on");
  return {};
}

// Already writable as part of a larger island, with no model and no other flags in between.
bool in_larger_island(const Place& place, const std::vector<Place>& islands,
                      const RewriteInput& input) {
  const std::string point = point_of(place);
  const Place* larger = nullptr;
  for (const Place& island : islands)
    if (below(point, point_of(island))) larger = &island;  // deepest last
  if (larger == nullptr || larger->exec != place.exec) return false;
  return std::ranges::none_of(input.models, [&](const Place& model) {
    return at_or_below(point, point_of(model)) && below(point_of(model), point_of(*larger));
  });
}

bool is_scratch(const std::string& point, const RewriteInput& input) {
  return std::ranges::any_of(input.scratch,
                             [&](const Place& place) { return point_of(place) == point; });
}

constexpr std::array<std::string_view, 7> kKernelTypes{"proc",   "sysfs",  "cgroup", "cgroup2",
                                                       "devpts", "mqueue", "bpf"};

struct Declared {
  const Place* place = nullptr;
  bool scratch = false;
};

// The deepest declared place at or above a point; what is both a model and scratch is scratch.
Declared nearest(const std::string& point, const RewriteInput& input) {
  Declared found;
  for (const bool scratch : {false, true})
    for (const Place& place : scratch ? input.scratch : input.models) {
      const bool deeper =
          found.place == nullptr || depth(point_of(place)) >= depth(point_of(*found.place));
      if (at_or_below(point, point_of(place)) && deeper) found = {&place, scratch};
    }
  return found;
}

// Volumes of the pod inside a declared place belong to it: adapters below a model, a hub's cache
// below scratch.
template <class Take>
void take_volumes_inside(MountList& mounts, const RewriteInput& input, bool scratch, Take take) {
  for (MountEntry& entry : mounts.entries()) {
    const Declared in = nearest(entry.point, input);
    const Json type = entry.mount.value("type", Json());
    const bool kernel = std::ranges::any_of(
        kKernelTypes, [&](std::string_view kernel_type) { return type == kernel_type; });
    if (entry.added || kernel || in.place == nullptr || in.scratch != scratch ||
        point_of(*in.place) == entry.point)
      continue;
    take(entry, *in.place);
  }
}

}  // namespace

Status add_islands(MountList& mounts, const Spec& spec, const RewriteInput& input,
                   RewriteOutput& output) {
  std::vector<Place> made;
  for (const Place& place : ordered(input.scratch)) {
    if (auto status = check(place, "scratch", true); !status) return status;
    const std::string point = point_of(place);
    if (MountEntry* entry = mounts.exactly(point)) {
      if (is_read_only(entry->mount)) continue;
      harden(entry->mount, false, place.exec);
    } else {
      if (in_larger_island(place, made, input)) continue;
      Json mount = island_mount(mounts, spec, input, place, output);
      if (mount.is_null()) continue;
      harden(mount, false, place.exec);
      mounts.insert(std::move(mount), point);
    }
    output.islands.push_back(point);
    made.push_back(place);
  }
  take_volumes_inside(mounts, input, true, [&](MountEntry& entry, const Place& place) {
    if (is_read_only(entry.mount)) return;
    harden(entry.mount, false, place.exec);
    output.islands.push_back(entry.point);
  });
  return {};
}

Status add_models(MountList& mounts, const Spec& spec, const RewriteInput& input,
                  RewriteOutput& output) {
  const bool enforce = input.mode == Mode::Enforce;
  for (const Place& place : ordered(input.models)) {
    if (auto status = check(place, "model", false); !status) return status;
    const std::string point = point_of(place);
    // Servers that download their models name them as scratch, too: an island by now.
    const bool hardened = enforce && !is_scratch(point, input);
    const MountEntry* under = mounts.covering_original(point);
    MountEntry* entry = mounts.exactly(point);
    if (entry == nullptr && under == nullptr) {
      const bool read_only = hardened || spec.root_readonly();
      mounts.insert(image_bind(point, input.rootfs + point, read_only ? "ro" : "rw"), point);
    } else if (entry == nullptr && is_bind(under->mount) && !place.source.empty()) {
      mounts.insert(part_of(under->mount, point, place.source), point);
    } else if (entry == nullptr) {
      output.model_mounts.push_back(under->point);
      output.notes.push_back("model " + place.path + ": lies in the mount " + under->point +
                             ", which is watched as a whole and stays as it is until load");
      continue;
    }
    if (hardened) harden(mounts.exactly(point)->mount, true, false);
    output.model_mounts.push_back(point);
  }
  take_volumes_inside(mounts, input, false, [&](MountEntry& entry, const Place&) {
    if (enforce) harden(entry.mount, true, false);
    output.model_mounts.push_back(entry.point);
  });
  return {};
}

}  // namespace moat::oci
