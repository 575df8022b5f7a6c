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

std::string text(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f}", *value) : "-";
}

nlohmann::json number(const std::optional<double>& value) {
  return value ? nlohmann::json(rounded(*value)) : nlohmann::json(nullptr);
}

}  // namespace

void Report::compare(const Goal& goal, double moat, double stock, std::string note) {
  const double ratio = stock > 0 ? moat / stock : 0;
  add({goal.name, goal.unit, moat, stock, against_, ratio, goal.goal,
       stock > 0 && reaches(ratio, goal), std::move(note)});
}

void Report::compare(const Goal& goal, const Pair& pair) {
  compare(goal, pair.moat.median(), pair.stock.median(),
          fmt::format("±{:.2f} ±{:.2f}", pair.moat.deviation(), pair.stock.deviation()));
}

void Report::limit(const Goal& goal, double moat, std::optional<double> stock, std::string note) {
  add({goal.name, goal.unit, moat, stock, against_, std::nullopt, goal.goal, reaches(moat, goal),
       std::move(note)});
}

void Report::failed(const Goal& goal, const Error& error) {
  add({goal.name, goal.unit, 0, std::nullopt, against_, std::nullopt, goal.goal, false,
       error.what});
}

void Report::add(Row row) {
  if (rows_.empty())
    std::printf("%-28s %10s %10s %6s %6s  %-6s  %s\n", "figure", "moat", "stock", "ratio", "goal",
                "unit", "spread (MAD)");
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
  for (const Row& row : rows_)
    rows.push_back({{"name", row.name},
                    {"unit", row.unit},
                    {"moat", rounded(row.moat)},
                    {"reference", number(row.reference)},
                    {"against", row.against},
                    {"ratio", number(row.ratio)},
                    {"goal", row.goal},
                    {"ok", row.ok}});
  return rows.dump(1) + "\n";
}

}  // namespace moat::bench
