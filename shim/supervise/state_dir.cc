#include "shim/supervise/state_dir.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "oci/sys.h"

namespace moat::shim {

Result<ShimRecord> ShimRecord::write(const std::string& state_dir, const Identity& identity) {
  const std::string folder = state_dir + "/shims";
  if (auto made = oci::make_dirs(folder, 0700); !made) return fail(std::move(made.error()));
  const nlohmann::json record{{"pid", ::getpid()},
                              {"namespace", identity.ns},
                              {"id", identity.id},
                              {"socket", identity.socket}};
  std::string path = folder + "/" + std::to_string(::getpid()) + ".json";
  if (auto written = oci::write_file_atomic(path, record.dump() + "\n", 0600); !written)
    return fail(std::move(written.error()));
  return ShimRecord(std::move(path));
}

ShimRecord::~ShimRecord() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace moat::shim
