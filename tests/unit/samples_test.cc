// The arithmetic of the benchmarks.
#include "tests/bench/samples.h"

#include <gtest/gtest.h>

namespace moat::bench {
namespace {

Samples up_to(int count) {
  Samples samples;
  for (int i = count; i > 0; --i) samples.add(i);
  return samples;
}

// The ranks are those of the tables for the sign test.
TEST(Samples, TheIntervalOfAMedianHasTheRanksOfTheSignTest) {
  struct Row {
    int count;
    double low, high;
  };
  for (const Row& row : {Row{1, 1, 1}, Row{5, 1, 5}, Row{6, 1, 6}, Row{15, 4, 12}, Row{20, 6, 15},
                         Row{30, 10, 21}, Row{40, 14, 27}}) {
    const Interval interval = interval_of(up_to(row.count));
    EXPECT_EQ(interval.low, row.low) << row.count;
    EXPECT_EQ(interval.high, row.high) << row.count;
  }
  EXPECT_EQ(interval_of(Samples()).high, 0);
}

TEST(Samples, RatiosAreOfWhatWasMeasuredTogether) {
  Pair pair;
  for (const double value : {10, 40}) pair.moat.add(value);
  for (const double value : {5, 10}) pair.stock.add(value);
  EXPECT_EQ(pair.ratios().values(), (std::vector<double>{2, 4}));
}

}  // namespace
}  // namespace moat::bench
