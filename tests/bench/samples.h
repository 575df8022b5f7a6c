// What a comparison measures: two series of the same length, taken in turns.
#pragma once

#include <functional>
#include <vector>

#include "policies/result.h"

namespace moat::bench {

class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] const std::vector<double>& values() const { return values_; }
  [[nodiscard]] double median() const { return percentile(50); }
  [[nodiscard]] double percentile(double p) const;  // nearest rank; 0 without samples
  [[nodiscard]] double deviation() const;           // median absolute deviation

 private:
  std::vector<double> values_;
};

// A median, and between which two samples it lies with 95 % certainty, whatever their distribution:
// the ranks that a fair coin reaches that often. With fewer than six samples, between all of them.
struct Interval {
  double low = 0, median = 0, high = 0;
};
Interval interval_of(const Samples& samples);

struct Pair {
  Samples moat, stock;
  // moat / stock of what was measured next to each other.
  [[nodiscard]] Samples ratios() const;
};

// One action done once; how long the part that counts took, in microseconds.
using Action = std::function<Result<double>()>;

// Runs the two `rounds` times as moat, stock, stock, moat: what the machine does meanwhile, and a
// drift of its speed, meet both alike. The first rounds are not counted.
Result<Pair> in_turns(const Action& moat, const Action& stock, int rounds, int warm_up = 2);

double now_us();

// The time `what` takes, or why it failed.
Result<double> timed(const std::function<Status()>& what);

}  // namespace moat::bench
