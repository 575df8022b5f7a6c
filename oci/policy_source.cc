#include "oci/policy_source.h"

#include <fcntl.h>
#include <linux/openat2.h>

#include <optional>

#include "oci/container_path.h"
#include "oci/mount_list.h"
#include "oci/rootfs.h"
#include "oci/sha256.h"
#include "oci/sys.h"

namespace moat::oci {
namespace {

// The volume a process in the container sees at `path`: the last mounted on or above it.
std::optional<std::size_t> volume_at(const std::vector<SpecMount>& mounts,
                                     const std::string& path) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < mounts.size(); ++i)
    if (at_or_below(path, written_point(mounts[i].destination))) found = i;
  return found;
}

struct Text {
  std::string text, name, source;
};

Result<Text> policy_text(const Spec& spec, const std::string& path) {
  auto file = read_mounted(spec, path, kMaxPolicy);
  if (!file) return fail(std::move(file.error()).in("annotation moat.dev/policy: " + path));
  return Text{std::move(file->text), path, file->configmap ? "configmap" : "annotation"};
}

// `profile` is "node/NAME", whose NAME has no slash and no leading dot.
Result<Text> node_text(const std::string& profile, const NodeConfig& node) {
  const std::string file = node.policy_dir + "/" + profile.substr(5) + ".yaml";
  auto text = read_file(file, kMaxPolicy);
  if (!text) return fail(std::move(text.error()).in("profile " + profile));
  return Text{std::move(*text), file, "node"};
}

Result<policies::Document> document_of(const Text& text) {
  auto document = policies::parse_document(text.text, text.name);
  if (!document) return document;
  auto composed = policies::compose(std::move(*document));
  if (!composed) return fail(std::move(composed.error()).in(text.name));
  return composed;
}

Status check_digest(const PolicySource& policy, const std::string& text,
                    const Annotations& annotations) {
  if (!annotations.policy_sha256 || *annotations.policy_sha256 == policy.digest) return {};
  const std::string file_digest = text.empty() ? "" : sha256_hex(text);
  if (*annotations.policy_sha256 == file_digest) return {};
  std::string what = "annotation moat.dev/policy-sha256: the policy '" + policy.composed.name +
                     "' is not the one that was pinned: its digest is " + policy.digest;
  if (!file_digest.empty()) what += ", that of its file " + file_digest;
  return fail(Code::FailedPrecondition, what);
}

}  // namespace

Result<MountedFile> read_mounted(const Spec& spec, const std::string& path, std::size_t limit) {
  const auto mounts = spec.mounts();
  const auto at = volume_at(mounts, path);
  if (!at) return fail(Code::InvalidArgument, "no volume is mounted there");
  const auto& json = spec.json()["mounts"][*at];
  const SpecMount& volume = mounts[*at];
  if (!is_bind(json)) return fail(Code::InvalidArgument, "is not in a volume of files");
  if (!is_read_only(json))
    return fail(Code::FailedPrecondition, "the container could change it: mount the volume at " +
                                              volume.destination + " with readOnly: true");
  auto source = open_file(volume.source, O_PATH);
  if (!source) return fail(std::move(source.error()));
  const std::string inside(remainder(path, written_point(volume.destination)));
  // A volume of a single file has nothing below it: it is opened once more, for reading.
  auto file = inside.empty() ? open_file("/proc/self/fd/" + std::to_string(source->raw()),
                                         O_RDONLY | O_NONBLOCK | O_NOCTTY)
                             : open_below(source->raw(), inside, O_RDONLY | O_NONBLOCK | O_NOCTTY,
                                          RESOLVE_BENEATH);
  if (!file && file.error().err == EXDEV)
    return fail(Code::FailedPrecondition, "a symlink leads out of the volume");
  if (!file) return fail(std::move(file.error()));
  auto text = read_regular(std::move(*file), limit);
  if (!text) return fail(std::move(text.error()));
  return MountedFile{std::move(*text),
                     volume.source.find("/kubernetes.io~configmap/") != std::string::npos};
}

Result<PolicySource> policy_source(const Spec& spec, const Annotations& annotations,
                                   const NodeConfig& node) {
  if (annotations.policy && annotations.profile)
    return fail(Code::InvalidArgument,
                "annotations moat.dev/policy and moat.dev/profile: give one of them; a policy "
                "names the profile it builds on under 'extends'");
  const std::string profile = annotations.profile.value_or(node.profile);
  Text text{"", profile, "builtin"};
  if (annotations.policy || profile.starts_with("node/")) {
    auto read =
        annotations.policy ? policy_text(spec, *annotations.policy) : node_text(profile, node);
    if (!read) return fail(std::move(read.error()));
    text = std::move(*read);
  }
  auto composed =
      text.source == "builtin" ? policies::builtin_document(profile) : document_of(text);
  if (!composed) return fail(std::move(composed.error()));
  PolicySource policy{std::move(*composed), text.source, ""};
  policy.digest = sha256_hex(policies::to_json(policy.composed));
  if (auto status = check_digest(policy, text.text, annotations); !status)
    return fail(std::move(status.error()));
  return policy;
}

}  // namespace moat::oci
