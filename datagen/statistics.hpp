#pragma once
// Streaming mean and variance: numerically stable (each block is centred on its own mean, blocks are merged
// after Chan, Golub and LeVeque 1983), constant memory.
#include <nlohmann/json_fwd.hpp>

#include <map>
#include <span>
#include <string>

namespace sns {

struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;  ///< sum of (x - mean)^2

  void add(std::span<const float> values);
  void merge(const Moments& other);
  /// Of the values themselves, not of a sample: divided by count.
  double standard_deviation() const;
  double root_mean_square() const;
};

/// Of one field: its values, and the differences of successive frames of a sample.
struct FieldStatistics {
  Moments value;
  Moments delta;
  void merge(const FieldStatistics& other);
};

using Statistics = std::map<std::string, FieldStatistics>;  ///< by field
void merge(Statistics& into, const Statistics& other);

nlohmann::json to_json(const Statistics& statistics);
Statistics statistics_from_json(const nlohmann::json& json);
/// The six maps of a stats.yaml: mean, std, rms, mean_delta, std_delta, rms_delta, each by field.
std::string stats_yaml(const Statistics& statistics, const std::string& comment);

}  // namespace sns
