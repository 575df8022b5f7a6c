#include "tests/bench/samples.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace moat::bench {

namespace {
constexpr int kWarmUp = 2;
}

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

Result<Pair> in_turns(const Action& moat, const Action& stock, int rounds) {
  Pair pair;
  const auto turn = [](const Action& action, Samples* into) -> Status {
    auto took = action();
    if (!took) return fail(std::move(took.error()));
    if (into != nullptr) into->add(*took);
    return {};
  };
  for (int round = -kWarmUp; round < rounds; ++round) {
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
