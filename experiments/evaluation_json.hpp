#pragma once
// How the numbers of an evaluation stand in its JSON and CSV files.
#include "experiments/metrics/statistics.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace sns {

using Json = nlohmann::ordered_json;

/// JSON has no infinities: they are the strings "inf" and "-inf"; undefined values are null.
inline Json json_number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

inline Json json_numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(json_number(value));
  return list;
}

inline Json json_estimate(const metrics::Estimate& estimate) {
  return {{"value", json_number(estimate.value)},
          {"low", json_number(estimate.low)},
          {"high", json_number(estimate.high)}};
}

inline std::string csv_number(double value) {
  return std::isnan(value) ? "" : fmt::format("{:.9g}", value);
}

}  // namespace sns
