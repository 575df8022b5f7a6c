// New processes and signals, by registers.
#include <linux/sched.h>

#include "policies/decide_parts.h"

namespace moat::policies::detail {
namespace {

constexpr std::uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                      CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

}  // namespace

Decision decide_create(const Boundary& boundary, const CallFacts& facts) {
  const auto index = facts.call->index_of(Arg::CloneFlags);
  const std::uint64_t flags = index ? facts.args[*index] : 0;
  Object object{ObjectType::Process, std::string(facts.call->name)};
  // No phase may have it: marks and read-only mounts belong to the namespace they were made in.
  if ((flags & kNamespaces) != 0) {
    object.name += " into a new namespace";
    return verdict(false, Action::ProcessContext, std::move(object));
  }
  return verdict(boundary.create, Action::ProcessCreate, std::move(object));
}

Decision decide_signal(const Boundary& boundary, const CallFacts& facts) {
  const auto index = facts.call->index_of(Arg::Signal);
  const auto signal = static_cast<std::int32_t>(index ? facts.args[*index] : 0);
  Object object{ObjectType::Process, "signal " + std::to_string(signal)};
  if (const auto pid = facts.call->index_of(Arg::Pid))
    object.name += " to " + std::to_string(static_cast<std::int32_t>(facts.args[*pid]));
  // Signal 0 only asks whether a process is there.
  return verdict(boundary.cross || signal == 0, Action::ProcessCross, std::move(object));
}

}  // namespace moat::policies::detail
