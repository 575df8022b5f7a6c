#include "tests/bench/samples.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace moat::bench {

double Samples::percentile(double p) const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  std::ranges::sort(sorted);
  const auto count = static_cast<double>(sorted.size());
  const double rank = std::ceil(p / 100 * count);
  return sorted[static_cast<std::size_t>(std::clamp(rank, 1.0, count)) - 1];
}

double Samples::deviation() const {
  const double middle = median();
  Samples distances;
  for (const double value : values_) distances.add(std::abs(value - middle));
  return distances.median();
}

Interval interval_of(const Samples& samples) {
  std::vector<double> sorted = samples.values();
  if (sorted.empty()) return {};
  std::ranges::sort(sorted);
  const std::size_t count = sorted.size();
  // P(fewer than k+1 of `count` lie below the median), for k = 0, 1, ...
  double term = std::pow(0.5, static_cast<double>(count)), sum = term;
  std::size_t rank = 0;
  while (sum <= 0.025 && rank < count / 2) {
    ++rank;
    term *= static_cast<double>(count - rank + 1) / static_cast<double>(rank);
    sum += term;
  }
  const std::size_t low = rank == 0 ? 0 : rank - 1;
  return {sorted[low], samples.median(), sorted[count - 1 - low]};
}

Samples Pair::ratios() const {
  Samples ratios;
  const std::size_t count = std::min(moat.values().size(), stock.values().size());
  for (std::size_t i = 0; i < count; ++i)
    if (stock.values()[i] > 0) ratios.add(moat.values()[i] / stock.values()[i]);
  return ratios;
}

Result<Pair> in_turns(const Action& moat, const Action& stock, int rounds, int warm_up) {
  Pair pair;
  const auto turn = [](const Action& action, Samples* into) -> Status {
    auto took = action();
    if (!took) return fail(std::move(took.error()));
    if (into != nullptr) into->add(*took);
    return {};
  };
  for (int round = -warm_up; round < rounds; ++round) {
    Samples* const to_moat = round < 0 ? nullptr : &pair.moat;
    Samples* const to_stock = round < 0 ? nullptr : &pair.stock;
    for (const bool ours : {true, false, false, true}) {
      auto done = ours ? turn(moat, to_moat) : turn(stock, to_stock);
      if (!done) return fail(std::move(done.error()).in(ours ? "moat" : "stock"));
    }
  }
  return pair;
}

double now_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

Result<double> timed(const std::function<Status()>& what) {
  const double before = now_us();
  auto done = what();
  if (!done) return fail(std::move(done.error()));
  return now_us() - before;
}

}  // namespace moat::bench
