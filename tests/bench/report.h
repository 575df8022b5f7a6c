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
  std::string note;  // for people: the spread, or why there is no figure
};

struct Goal {
  std::string name, unit;
  double goal = 0;
  Better better = Better::Lower;
};

class Report {
 public:
  explicit Report(std::string against) : against_(std::move(against)) {}

  // The ratio of the two has a goal.
  void compare(const Goal& goal, double moat, double stock, std::string note = {});
  void compare(const Goal& goal, const Pair& pair);
  // The figure itself has one; stock's stands beside it.
  void limit(const Goal& goal, double moat, std::optional<double> stock, std::string note = {});
  void failed(const Goal& goal, const Error& error);

  [[nodiscard]] bool all_ok() const;
  [[nodiscard]] std::string json() const;

 private:
  void add(Row row);
  std::string against_;
  std::vector<Row> rows_;
};

}  // namespace moat::bench
