#include "oci/rewrite.h"

#include <algorithm>

#include "oci/islands.h"

namespace moat::oci {
namespace {

using Json = nlohmann::json;
using policies::Mode;

// crun would send its listener to whoever these name, and they come from the pod or the image.
constexpr std::string_view kForeignAnnotation = "run.oci.seccomp.";
constexpr std::string_view kForeignVariable = "RUN_OCI_SECCOMP_RECEIVER=";

Json* object_in(Json& parent, const char* key) {
  const auto member = parent.find(key);
  return member != parent.end() && member->is_object() ? &*member : nullptr;
}

void strip_foreign_receivers(Json& config) {
  if (Json* annotations = object_in(config, "annotations"))
    for (auto each = annotations->begin(); each != annotations->end();)
      each = each.key().starts_with(kForeignAnnotation) ? annotations->erase(each) : ++each;
  Json* process = object_in(config, "process");
  if (process == nullptr || !process->contains("env") || !(*process)["env"].is_array()) return;
  Json& env = (*process)["env"];
  env.erase(
      std::remove_if(env.begin(), env.end(),
                     [](const Json& entry) {
                       return entry.is_string() &&
                              entry.get_ref<const std::string&>().starts_with(kForeignVariable);
                     }),
      env.end());
}

// The runtime starts it when it deletes the container, whoever asked for that and whoever of us is
// still there. It says what it could not do; a bound, should it not come to that.
void add_hook(Json& config, const RewriteInput& input) {
  if (input.hook.empty()) return;
  if (!config["hooks"].is_object()) config["hooks"] = Json::object();
  Json& list = config["hooks"]["poststop"];
  if (!list.is_array()) list = Json::array();
  list.push_back({{"path", input.hook},
                  {"args", {"moat-hook", "poststop"}},
                  {"env", {"MOAT_STATE_DIR=" + input.state_dir}},
                  {"timeout", 5}});
}

// Without privileges to gain and without mounts that arrive later.
void confine(Json& config, RewriteOutput& output) {
  if (Json* process = object_in(config, "process")) (*process)["noNewPrivileges"] = true;
  Json& propagation = config["linux"]["rootfsPropagation"];
  const std::string asked = propagation.is_string() ? propagation.get<std::string>() : "";
  if (!asked.empty() && asked != "private" && asked != "rprivate")
    output.notes.push_back("rootfsPropagation " + asked + ": made rprivate");
  propagation = "rprivate";
}

void isolate(MountList& mounts, RewriteOutput& output) {
  for (MountEntry& entry : mounts.entries())
    if (make_private(entry.mount) && !entry.added)
      output.notes.push_back("mount " + entry.point + ": its propagation was made rprivate");
}

std::vector<std::string> written_points(const Spec& spec) {
  std::vector<std::string> points;
  for (const SpecMount& mount : spec.mounts()) points.push_back(written_point(mount.destination));
  return points;
}

Status rewrite_mounts(Spec& spec, const RewriteInput& input, RewriteOutput& output) {
  const Json given = spec.json().value("mounts", Json());
  auto mounts = MountList::create(
      given, input.mount_points.empty() ? written_points(spec) : input.mount_points);
  if (!mounts) return fail(std::move(mounts.error()));
  const bool enforce = input.mode == Mode::Enforce;
  if (enforce)
    if (auto status = add_islands(*mounts, spec, input, output); !status) return status;
  if (auto status = add_models(*mounts, spec, input, output); !status) return status;
  if (enforce) isolate(*mounts, output);
  if (!mounts->entries().empty()) spec.json()["mounts"] = mounts->to_json();
  return {};
}

}  // namespace

Result<RewriteOutput> rewrite(Spec& spec, const RewriteInput& input) {
  if (input.mode == Mode::Off) return fail(Code::Internal, "rewrite: mode off changes nothing");
  RewriteOutput output;
  Spec changed = spec;
  Json& config = changed.json();
  if (!config["linux"].is_object()) config["linux"] = Json::object();
  strip_foreign_receivers(config);
  add_hook(config, input);
  if (auto status = rewrite_mounts(changed, input, output); !status)
    return fail(std::move(status.error()).in("config.json"));
  if (input.mode == Mode::Enforce) confine(config, output);
  if (auto status = merge_seccomp(config["linux"], input); !status)
    return fail(std::move(status.error()).in("config.json"));
  spec = std::move(changed);
  return output;
}

}  // namespace moat::oci
