// The parts of the comparison with the stock shim.
#pragma once

#include "tests/bench/pod.h"
#include "tests/bench/report.h"

namespace moat::bench {

struct Contest {
  const World& world;
  Flavour moat;  // its mode is set by each part
  Flavour stock;
  Report& report;

  [[nodiscard]] Flavour in_mode(const std::string& mode) const {
    Flavour flavour = moat;
    flavour.mode = mode;
    return flavour;
  }
  // A quick run shows that it works, no more.
  [[nodiscard]] int rounds(int full) const { return world.quick ? 3 : full; }
};

void ctr_runs(const Contest& contest);  // these three by mode
void start_actions(const Contest& contest);
void execs(const Contest& contest);
void single_calls(const Contest& contest);  // one running container each
void throughput(const Contest& contest);    // containers a second, by workers
void footprint(const Contest& contest);     // memory of many pods, wake-ups of an idle one

}  // namespace moat::bench
