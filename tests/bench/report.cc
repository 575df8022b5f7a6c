#include "tests/bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace moat::bench {

namespace {

bool reaches(double value, const Goal& goal) {
  return goal.better == Better::Lower ? value <= goal.goal : value >= goal.goal;
}

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

// A goal is missed only if the interval lies wholly beyond it.
double best_of(const Interval& interval, const Goal& goal) {
  return goal.better == Better::Lower ? interval.low : interval.high;
}

std::string text(const Interval& interval, std::size_t samples) {
  return fmt::format("[{:.3f}, {:.3f}] of {}", interval.low, interval.high, samples);
}

std::string text(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f}", *value) : "-";
}

nlohmann::json number(const std::optional<double>& value) {
  return value ? nlohmann::json(rounded(*value)) : nlohmann::json(nullptr);
}

}  // namespace

void Report::compare(const Goal& goal, double moat, double stock, std::string note) {
  const double ratio = stock > 0 ? moat / stock : 0;
  Row row = row_of(goal, moat, stock);
  row.ratio = ratio;
  row.ok = stock > 0 && reaches(ratio, goal);
  row.note = std::move(note);
  add(std::move(row));
}

void Report::compare(const Goal& goal, const Pair& pair) {
  compare(goal, pair.moat.median(), pair.stock.median(),
          fmt::format("±{:.2f} ±{:.2f}", pair.moat.deviation(), pair.stock.deviation()));
}

void Report::limit(const Goal& goal, double moat, std::optional<double> stock, std::string note) {
  Row row = row_of(goal, moat, stock);
  row.ok = reaches(moat, goal);
  row.note = std::move(note);
  add(std::move(row));
}

void Report::paired(const Goal& goal, const Pair& pair) {
  const Samples ratios = pair.ratios();
  Row row = row_of(goal, pair.moat.median(), pair.stock.median());
  row.interval = interval_of(ratios);
  row.ratio = row.interval->median;
  row.samples = ratios.values().size();
  row.ok = row.samples > 0 && reaches(best_of(*row.interval, goal), goal);
  row.note = text(*row.interval, row.samples) + " pairs";
  add(std::move(row));
}

void Report::measured(const Goal& goal, const Samples& samples, std::string note) {
  Row row = row_of(goal, samples.median(), std::nullopt);
  row.interval = interval_of(samples);
  row.samples = samples.values().size();
  row.ok = row.samples > 0 && reaches(best_of(*row.interval, goal), goal);
  row.note = text(*row.interval, row.samples) + std::move(note);
  add(std::move(row));
}

void Report::failed(const Goal& goal, const Error& error) {
  Row row = row_of(goal, 0, std::nullopt);
  row.note = error.what;
  add(std::move(row));
}

Row Report::row_of(const Goal& goal, double moat, std::optional<double> reference) const {
  Row row;
  row.name = goal.name;
  row.unit = goal.unit;
  row.moat = moat;
  row.reference = reference;
  row.against = goal.against.empty() ? against_ : goal.against;
  row.goal = goal.goal;
  return row;
}

void Report::add(Row row) {
  if (rows_.empty())
    std::printf("%-28s %10s %10s %6s %6s  %-6s  %s\n", "figure", "moat", "stock", "ratio", "goal",
                "unit", "spread");
  std::printf("%-28s %10.2f %10s %6s %6.2f  %-6s  %s%s\n", row.name.c_str(), row.moat,
              text(row.reference).c_str(), text(row.ratio).c_str(), row.goal, row.unit.c_str(),
              row.ok ? "" : "MISSED ", row.note.c_str());
  std::fflush(stdout);
  rows_.push_back(std::move(row));
}

bool Report::all_ok() const {
  return !rows_.empty() && std::ranges::all_of(rows_, &Row::ok);
}

std::string Report::json() const {
  auto rows = nlohmann::json::array();
  for (const Row& row : rows_) {
    rows.push_back({{"name", row.name},
                    {"unit", row.unit},
                    {"moat", rounded(row.moat)},
                    {"reference", number(row.reference)},
                    {"against", row.against},
                    {"ratio", number(row.ratio)},
                    {"goal", row.goal},
                    {"ok", row.ok}});
    if (!row.interval) continue;
    rows.back()["low"] = rounded(row.interval->low);
    rows.back()["high"] = rounded(row.interval->high);
    rows.back()["samples"] = row.samples;
  }
  return rows.dump(1) + "\n";
}

}  // namespace moat::bench
