// The figures of a run: a table for people, JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policies/result.h"
#include "tests/bench/samples.h"

namespace moat::bench {

enum class Better { Lower, Higher };

struct Row {
  std::string name, unit;
  double moat = 0;
  std::optional<double> reference;  // stock's, if it was measured
  std::string against;              // what the reference is
  std::optional<double> ratio;      // moat / reference; none: the goal is for `moat` itself
  double goal = 0;
  bool ok = false;
  std::optional<Interval> interval;  // of the ratio, or of the figure that has none
  std::size_t samples = 0;           // it rests on
  std::string note;                  // for people: the spread, or why there is no figure
};

struct Goal {
  std::string name, unit;
  double goal = 0;
  Better better = Better::Lower;
  std::string against = {};  // the reference, where it is not the report's
};

class Report {
 public:
  explicit Report(std::string against) : against_(std::move(against)) {}

  // The ratio of the two has a goal.
  void compare(const Goal& goal, double moat, double stock, std::string note = {});
  void compare(const Goal& goal, const Pair& pair);
  // The median of the pairs' ratios has one, which is missed if its interval lies wholly beyond.
  void paired(const Goal& goal, const Pair& pair);
  // So has the median of figures that nothing stands beside.
  void measured(const Goal& goal, const Samples& samples, std::string note = {});
  // The figure itself has one; stock's stands beside it.
  void limit(const Goal& goal, double moat, std::optional<double> stock, std::string note = {});
  void failed(const Goal& goal, const Error& error);

  [[nodiscard]] bool all_ok() const;
  [[nodiscard]] std::string json() const;

 private:
  [[nodiscard]] Row row_of(const Goal& goal, double moat, std::optional<double> reference) const;
  void add(Row row);
  std::string against_;
  std::vector<Row> rows_;
};

}  // namespace moat::bench
