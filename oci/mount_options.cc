#include "oci/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace moat::oci {

namespace {

struct Flag {
  std::string_view name;
  bool set;
  unsigned long bits;
};

constexpr std::array kFlags{
    Flag{"async", false, MS_SYNCHRONOUS},
    Flag{"atime", false, MS_NOATIME},
    Flag{"bind", true, MS_BIND},
    Flag{"defaults", true, 0},
    Flag{"dev", false, MS_NODEV},
    Flag{"diratime", false, MS_NODIRATIME},
    Flag{"dirsync", true, MS_DIRSYNC},
    Flag{"exec", false, MS_NOEXEC},
    Flag{"mand", true, MS_MANDLOCK},
    Flag{"noatime", true, MS_NOATIME},
    Flag{"nodev", true, MS_NODEV},
    Flag{"nodiratime", true, MS_NODIRATIME},
    Flag{"noexec", true, MS_NOEXEC},
    Flag{"nomand", false, MS_MANDLOCK},
    Flag{"norelatime", false, MS_RELATIME},
    Flag{"nostrictatime", false, MS_STRICTATIME},
    Flag{"nosuid", true, MS_NOSUID},
    Flag{"rbind", true, MS_BIND | MS_REC},
    Flag{"relatime", true, MS_RELATIME},
    Flag{"remount", true, MS_REMOUNT},
    Flag{"ro", true, MS_RDONLY},
    Flag{"rw", false, MS_RDONLY},
    Flag{"strictatime", true, MS_STRICTATIME},
    Flag{"suid", false, MS_NOSUID},
    Flag{"sync", true, MS_SYNCHRONOUS},
};
static_assert(std::ranges::is_sorted(kFlags, {}, &Flag::name));

constexpr std::array kPropagation{
    Flag{"private", true, MS_PRIVATE},
    Flag{"rprivate", true, MS_PRIVATE | MS_REC},
    Flag{"rshared", true, MS_SHARED | MS_REC},
    Flag{"rslave", true, MS_SLAVE | MS_REC},
    Flag{"runbindable", true, MS_UNBINDABLE | MS_REC},
    Flag{"shared", true, MS_SHARED},
    Flag{"slave", true, MS_SLAVE},
    Flag{"unbindable", true, MS_UNBINDABLE},
};
static_assert(std::ranges::is_sorted(kPropagation, {}, &Flag::name));

template <std::size_t N>
const Flag* find(const std::array<Flag, N>& table, std::string_view name) {
  const auto at = std::ranges::lower_bound(table, name, {}, &Flag::name);
  return at != table.end() && at->name == name ? &*at : nullptr;
}

std::optional<std::string> value_of(const std::string& option, std::string_view key) {
  if (!option.starts_with(key)) return std::nullopt;
  return option.substr(key.size());
}

void append(std::string& data, const std::string& option) {
  if (!data.empty()) data += ',';
  data += option;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// The longest folder all paths lie in, with its slash; empty when they are not all absolute.
std::string_view common_folder(const std::vector<std::string_view>& paths) {
  std::string_view common = paths.front();
  for (const std::string_view path : paths) {
    const auto differ = std::ranges::mismatch(common, path).in1;
    common = common.substr(0, static_cast<std::size_t>(differ - common.begin()));
  }
  const std::size_t slash = common.rfind('/');
  if (slash == std::string_view::npos || !common.starts_with('/')) return {};
  return common.substr(0, slash + 1);
}

// The lower layers with the folder all lie in taken off, and `prefix` put before each.
struct Layers {
  std::string folder;  // with its slash
  std::string lower;
  std::string others;  // the options besides lowerdir
};

Layers split_layers(const std::string& data, const std::string& prefix) {
  Layers layers;
  for (const std::string_view option : split(data, ',')) {
    if (!option.starts_with("lowerdir=")) {
      append(layers.others, std::string(option));
      continue;
    }
    const auto paths = split(option.substr(9), ':');
    layers.folder = common_folder(paths);
    for (const std::string_view path : paths) {
      if (!layers.lower.empty()) layers.lower += ':';
      layers.lower += prefix + std::string(path.substr(layers.folder.size()));
    }
  }
  return layers;
}

}  // namespace

MountOptions parse_mount_options(const std::vector<std::string>& options) {
  MountOptions parsed;
  for (const std::string& option : options) {
    if (const Flag* flag = find(kFlags, option)) {
      parsed.flags = flag->set ? parsed.flags | flag->bits : parsed.flags & ~flag->bits;
    } else if (const Flag* propagation = find(kPropagation, option)) {
      parsed.propagation = propagation->bits;
    } else if (option == "loop") {
      parsed.loop = true;
    } else if (option == "direct-io") {
      parsed.direct_io = true;
    } else if (auto uids = value_of(option, "uidmap=")) {
      parsed.uid_map = *uids;
    } else if (auto gids = value_of(option, "gidmap=")) {
      parsed.gid_map = *gids;
    } else if (!option.empty()) {
      append(parsed.data, option);
    }
  }
  return parsed;
}

bool needs_bind_remount(const MountOptions& options) {
  constexpr unsigned long kIgnoredByBind =
      MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;
  return (options.flags & MS_BIND) != 0 && (options.flags & MS_REMOUNT) == 0 &&
         (options.flags & kIgnoredByBind) != 0;
}

MovedLayers compact_overlay(const std::string& data) {
  Layers layers = split_layers(data, "");
  if (layers.folder.empty()) return {"", data};
  append(layers.others, "lowerdir=" + layers.lower);
  return {std::move(layers.folder), std::move(layers.others)};
}

MovedLayers move_layers(const std::string& data, const std::string& to) {
  Layers layers = split_layers(data, to + "/");
  if (layers.folder.empty()) return {"", data};
  append(layers.others, "lowerdir=" + layers.lower);
  return {std::move(layers.folder), std::move(layers.others)};
}

}  // namespace moat::oci
