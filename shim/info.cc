#include "shim/info.h"

#include <fcntl.h>
#include <unistd.h>

#include "oci/spawn.h"
#include "oci/sys.h"
#include "shim/proto/types.pb.h"
#include "shim/task/options.h"

namespace moat::shim {

namespace {

constexpr std::chrono::milliseconds kFeaturesDeadline{2000};
constexpr const char* kFeaturesType =
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

// The runtime's own JSON; empty when it is too old to have any to tell.
std::string features_of(const std::string& binary) {
  auto loop = oci::Loop::create();
  if (!loop) return {};
  std::string features;
  oci::Command command;
  command.argv = {binary, "features"};
  auto null = oci::open_file("/dev/null", O_WRONLY);
  if (!null) return {};
  command.fds = {{null->raw(), 2}};  // a warning in the middle would not be JSON
  oci::run(**loop, std::move(command), "", kFeaturesDeadline, [&](Result<oci::RunResult> result) {
    if (result && result->exit.status == 0) features = std::move(result->output);
    (*loop)->stop();
  });
  (*loop)->run();
  return features;
}

}  // namespace

std::string version_text() {
  return "containerd-shim-moat-v2:\n  Version:  " MOAT_VERSION "\n";
}

int info_main() {
  auto input = ::isatty(0) == 1 ? Result<std::string>(std::string()) : oci::read_all(0, 10U << 20);
  containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.moat.v2");
  info.mutable_version()->set_version(MOAT_VERSION);
  moat::wire::Any any;
  const auto node = oci::NodeConfig::load();
  RuntimeOptions options = node ? node_defaults(*node) : RuntimeOptions{};
  if (input && !input->empty() && any.ParseFromString(*input)) {
    if (auto decoded = decode_options(any, options)) options = std::move(*decoded);
    *info.mutable_options() = any;
  }
  const std::string features = features_of(options.binary);
  if (!features.empty()) {
    info.mutable_features()->set_type_url(kFeaturesType);
    info.mutable_features()->set_value(features);
  }
  return oci::write_all(1, info.SerializeAsString()) ? 0 : 1;
}

}  // namespace moat::shim
