// The runtime options of a container: decoded from what containerd sends, kept in the bundle.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "oci/node_config.h"
#include "policies/result.h"
#include "shim/proto/wire.pb.h"

namespace moat::shim {

struct RuntimeOptions {
  std::string binary = "runc";
  std::string root = "/run/containerd/runc";  // without the namespace
  std::string shim_cgroup;
  bool systemd_cgroup = false;
  bool detect_cgroup = true;  // nobody has said which driver: the cgroup's path tells
  bool no_pivot_root = false;
  bool no_new_keyring = false;
  std::uint32_t io_uid = 0;
  std::uint32_t io_gid = 0;
  std::string criu_work_path;  // empty: below the folder that containerd links as `work`
};

// What the node's configuration says for handlers that say nothing.
RuntimeOptions node_defaults(const oci::NodeConfig& node);

// What is absent is taken from `defaults`; a type nobody knows is an error that names the ones we
// do.
Result<RuntimeOptions> decode_options(const moat::wire::Any& any, const RuntimeOptions& defaults);

// containerd's TOML table of options, as far as runc's shim knows keys: `Key = value` lines.
Result<RuntimeOptions> options_of_toml(std::string_view toml, const RuntimeOptions& defaults);

// "slice:prefix:name" is how a cgroup's path is written for the systemd driver: that decides unless
// somebody has.
bool uses_systemd(const RuntimeOptions& options, std::string_view cgroups_path);

std::string options_to_json(const RuntimeOptions& options);
Result<RuntimeOptions> options_of_json(std::string_view json);

// `options.json` and `runtime` in the bundle: `delete` is told no options. A missing file is the
// node's defaults.
Status save_options(const std::string& bundle, const RuntimeOptions& options);
Result<RuntimeOptions> load_options(const std::string& bundle);

}  // namespace moat::shim
