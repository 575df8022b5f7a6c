// A container's root file system seen from the host, before anything runs in it. Images choose
// their symlinks: every step stays inside the root, as it would for a process in the container.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "oci/fd.h"
#include "oci/spec.h"
#include "policies/result.h"

namespace moat::oci {

// openat2 with RESOLVE_NO_MAGICLINKS and `resolve` (RESOLVE_IN_ROOT: ".." and absolute symlinks end
// at `root`; RESOLVE_BENEATH: they are errors). Use O_PATH or O_NONBLOCK: a FIFO must not block.
Result<UniqueFd> open_below(int root, const std::string& path, int flags, std::uint64_t resolve);

Result<UniqueFd> open_root(const std::string& rootfs);  // O_PATH

// The text of a regular file inside the root; anything else, or a longer one, is an error.
Result<std::string> read_in_root(int root, const std::string& path, std::size_t limit);
Result<std::string> read_regular(UniqueFd file, std::size_t limit);  // opened with O_NONBLOCK

// Ids on disk, outside the container's user namespace.
struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Makes the missing folders of `path` (relative to `root`, no symlinks in it) with mode 0755; the
// last one gets `mode` and `owner` if it was made.
Status make_folders(int root, std::string_view path, mode_t mode, Owner owner);

// HOME, or what the image's /etc/passwd says for the process's uid, or "/".
std::string home_of(int root, const Spec& spec);

}  // namespace moat::oci
