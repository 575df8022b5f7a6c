// What was connected under a wider boundary is cut when a narrower one begins: the step of a
// transition that has the network programs in force already, so that nothing new comes about.
#include "oci/spawn.h"
#include "shim/supervise/cut.h"
#include "shim/supervise/guarded_container.h"

namespace moat::shim {

using policies::NetworkRules;
using policies::Phase;

namespace {

constexpr std::chrono::milliseconds kCutDeadline{4000};

bool same(const NetworkRules& one, const NetworkRules& other) {
  return one.any == other.any && one.listen == other.listen && one.reachable == other.reachable;
}

std::vector<NetworkRules> network_of(const policies::Policy& policy) {
  std::vector<NetworkRules> rules;
  for (const Phase phase : policies::kPhases) rules.push_back(policy.boundary(phase).network);
  return rules;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

// Without programs of its own nothing tells the container's sockets from others' of its network.
bool GuardedContainer::must_cut(Phase phase) const {
  if (!network_ || plan_.mode != policies::Mode::Enforce) return false;
  const NetworkRules& next = plan_.policy->boundary(phase).network;
  return !next.any && !same(plan_.policy->boundary(phase_).network, next);
}

Step GuardedContainer::cut_step(Phase phase, Cut cut) {
  return {"connections",
          [this, phase, cut = std::move(cut)](Step::Done done) {
            std::vector<std::string> arguments{"cut", network_->folder()};
            for (std::string& word :
                 cut_words(network_of(*plan_.policy), static_cast<std::size_t>(phase)))
              arguments.push_back(std::move(word));
            run_role(std::move(arguments), kCutDeadline, [cut, done](const auto& run) {
              const Status status = outcome_of(run, "connections were not cut in time");
              if (status) *cut = lines_of(run->output);
              done(status);
            });
          },
          {}};
}

}  // namespace moat::shim
