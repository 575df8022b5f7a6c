#include "oci/floor.h"

#include <algorithm>

#include "oci/sys.h"

namespace moat::oci {
namespace {

using policies::Mode;

constexpr std::size_t kMaxFloor = 1U << 20;  // as any policy

int rank(Mode mode) {
  switch (mode) {
    case Mode::Off:
      return 0;
    case Mode::Audit:
    case Mode::Learn:
      return 1;
    case Mode::Enforce:
      return 2;
  }
  return 0;
}

bool states_more(const policies::Document& floor) {
  const auto stated = [](const auto& part) { return part.has_value(); };
  return !floor.extends.empty() || !floor.models.empty() || !floor.scratch.empty() ||
         floor.on_violation || floor.session_rules || std::ranges::any_of(floor.phases, stated) ||
         std::ranges::any_of(floor.transitions, stated);
}

}  // namespace

Mode stricter(Mode a, Mode b) {
  return rank(b) > rank(a) ? b : a;
}

Result<Floor> Floor::load(const std::string& file) {
  auto text = read_file(file, kMaxFloor);
  if (!text && text.error().code == Code::NotFound) return Floor{};
  if (!text) return fail(std::move(text.error()).in("floor"));
  auto document = policies::parse_document(*text, file);
  if (!document) return fail(std::move(document.error()).in("floor"));
  if (states_more(*document))
    return fail(Code::FailedPrecondition,
                "floor: " + file +
                    " states more than mode and sessions, which this version of moat cannot hold "
                    "pods to; no container is created until the administrator takes it out");
  Floor floor;
  floor.mode = document->mode.value_or(Mode::Off);
  floor.sessions = document->sessions.value_or(policies::Sessions::Allow);
  return floor;
}

Status Floor::permits(const Annotations& annotations) const {
  std::string key;
  if (!annotations.allow_connect.empty()) key = "allow-connect";
  if (!annotations.allow_write.empty()) key = "allow-write";
  if (!annotations.allow_exec.empty()) key = "allow-exec";
  if (key.empty()) return {};
  return fail(Code::PermissionDenied,
              "annotation moat.dev/" + key +
                  ": loosens the policy, which the node's administrator has not allowed; put it "
                  "into a policy the administrator installs as node/NAME instead");
}

}  // namespace moat::oci
