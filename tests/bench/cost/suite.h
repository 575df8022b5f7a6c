// The parts of what enforcement costs.
#pragma once

#include <functional>

#include "tests/bench/pod.h"
#include "tests/bench/report.h"

namespace moat::bench {

struct Contest {
  const World& world;
  Flavour moat;   // in enforce
  Flavour stock;  // the same container under the stock shim
  Report& report;

  // Every round is two pairs; a quick run shows that it works, no more.
  [[nodiscard]] int rounds(int full) const { return world.quick ? 2 : full; }
};

// What moatctl says of a container.
struct Tallies {
  std::string phase;
  long notifications = 0, open_events = 0;
  pid_t shim = 0, supervisor = 0;
};
Result<Tallies> tallies_of(const Contest& contest, const std::string& id);

// Until the container is in `serve`.
Status wait_for_serve(const Contest& contest, const std::string& id);

// syscall
void notifications(const Contest& contest);
void opens(const Contest& contest);
void connects(const Contest& contest);
void restarts(const Contest& contest);

// serve
void starts(const Contest& contest);    // until the first good answer
void requests(const Contest& contest);  // a second, and how long they take
void counts(const Contest& contest);    // what the supervisor hears of them

}  // namespace moat::bench
