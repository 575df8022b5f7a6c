// The families decide() is made of; each knows one part of a boundary. Nothing outside decide*.cc
// includes this.
#pragma once

#include "policies/decide.h"

namespace moat::policies::detail {

inline Decision yes(Action action, Object object) {
  Decision decision;
  decision.allowed = true;
  decision.action = action;
  decision.object = std::move(object);
  return decision;
}

inline Decision verdict(bool allowed, Action action, Object object) {
  Decision decision = yes(action, std::move(object));
  decision.allowed = allowed;
  return decision;
}

// `err`: an answer the callers of a quiet object cope with by themselves.
inline Decision hushed(Decision decision, bool quiet, int err) {
  if (decision.allowed || !quiet) return decision;
  decision.quiet = true;
  decision.err = err;
  return decision;
}

// Holds for sets with "/**" from which nothing is taken away: the pattern after it would say so.
bool covers_everything(const PathSet& set);

// Writing opens and path-changing calls; message queues; memory files, and memory to be run.
Decision decide_path(const Boundary& boundary, const CallFacts& facts);
Decision decide_queue(const Boundary& boundary, const CallFacts& facts);
Decision decide_memory_file(const Boundary& boundary, const CallFacts& facts);
Decision decide_fresh_code(const Boundary& boundary, const CallFacts& facts);

// socket, connect and what connects on the side, listen.
Decision decide_network(const Boundary& boundary, const CallFacts& facts);
// `err` goes to the callers of a quiet address.
Decision refuse_address(const NetworkRules& network, std::string address, int err);

// fork and clone, exec, signals and limits.
Decision decide_create(const Boundary& boundary, const CallFacts& facts);
Decision decide_exec(const Boundary& boundary, const CallFacts& facts);
Decision decide_cross(const Boundary& boundary, const CallFacts& facts);

}  // namespace moat::policies::detail
