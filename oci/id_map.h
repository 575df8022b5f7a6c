// Id-mapped mounts: files keep their owners on disk and show others through the mount.
#pragma once

#include <string>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::oci {

// A user namespace with these maps, as mount options write them: "inside:outside:count", several
// separated by commas. It lives as long as the descriptor. Starts a process for a moment: not for
// a server's thread.
Result<UniqueFd> make_user_namespace(const std::string& uid_map, const std::string& gid_map);

// What /proc/PID/uid_map wants of such a text. Pure.
Result<std::string> id_map_lines(const std::string& map);

// A copy of the mount at `source` (a folder of it is enough) with mapped ids, attached at `target`.
// Kernel 5.12, overlay 5.19 for its layers.
Status mount_id_mapped(const std::string& source, const std::string& target, int user_namespace);

}  // namespace moat::oci
