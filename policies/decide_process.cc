// New processes, signals and limits, by registers.
#include "policies/decide_parts.h"

namespace moat::policies::detail {

Decision decide_create(const Boundary& boundary, const CallFacts& facts) {
  return verdict(boundary.create, Action::ProcessCreate,
                 {ObjectType::Process, std::string(facts.call->name)});
}

// kill(0) is for the caller's process group, which no foreign process can be in: groups do not
// reach beyond a session (setsid), and the runtime begins one for the container and for each exec.
// A group that is named may be another one by the time of the call, like any number but one's own.
// tgkill and rt_tgsigqueueinfo name the process first; that the thread is of it the kernel checks.
Decision decide_cross(const Boundary& boundary, const CallFacts& facts) {
  const auto pid = facts.call->index_of(Arg::Pid);
  const auto signal = facts.call->index_of(Arg::Signal);
  const auto number = [&](std::size_t i) { return static_cast<std::int32_t>(facts.args[i]); };
  Object object{ObjectType::Process, signal ? "signal " + std::to_string(number(*signal))
                                            : std::string(facts.call->name)};
  if (pid) object.name += " to " + std::to_string(number(*pid));
  const bool own_group = facts.call->name == "kill" && number(*pid) == 0;
  const bool asks = signal && number(*signal) == 0;
  const bool allowed = boundary.cross || facts.target == Target::Self || own_group || asks;
  return verdict(allowed, Action::ProcessCross, std::move(object));
}

}  // namespace moat::policies::detail
