// The only place where a mode turns a "no" into something that happens.
#include "policies/verdict.h"

namespace moat::policies {
namespace {

Outcome refuse(const Policy& policy, const Decision& decision) {
  const Reaction reaction = policy.reaction();
  const int err = decision.err != 0 ? decision.err : reaction.err;
  if (decision.quiet) return {Refuse{err}, Report::Nothing};
  switch (reaction.kind) {
    case Reaction::Kind::Errno:
      return {Refuse{err}, Report::Violation};
    case Reaction::Kind::Kill:
      return {KillCaller{}, Report::Violation};
    case Reaction::Kind::Quarantine:
      return {Quarantine{}, Report::Violation};
    case Reaction::Kind::Terminate:
      return {Terminate{}, Report::Violation};
  }
  return {Refuse{err}, Report::Violation};
}

}  // namespace

Outcome outcome(const Policy& policy, Mode mode, const Decision& decision) {
  if (decision.allowed) return {Continue{}, Report::Nothing};
  switch (mode) {
    case Mode::Off:
      return {Continue{}, Report::Nothing};
    case Mode::Audit:
    case Mode::Learn:
      return {Continue{}, decision.quiet ? Report::Nothing : Report::WouldDeny};
    case Mode::Enforce:
      return refuse(policy, decision);
  }
  return refuse(policy, decision);
}

}  // namespace moat::policies
