#pragma once
// Collects the scores of one method.
#include "experiments/metrics/statistics.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sns::metrics {

/// What counts as good.
enum class Better { lower, higher, near_one, near_zero };
const char* name(Better better);

enum class Statistic { median_of_members, share_of_members, ensemble };
const char* name(Statistic statistic);

struct MetricInfo {
  std::string key;     ///< "spectrum_error"
  std::string period;  ///< "early" | "mid" | "late" | "all"
  std::string label;   ///< for tables
  std::string unit;    ///< "" = dimensionless
  Better better = Better::lower;
  Statistic statistic = Statistic::median_of_members;
  std::string field = {};  ///< where there are several: the one it is of; empty = of all together
  std::string id() const { return key + "/" + period + (field.empty() ? "" : "/" + field); }
};

/// One metric of one method.
struct Score {
  MetricInfo info;
  Estimate estimate{};
  std::vector<double> members;  ///< per member, in file order; empty for ensemble statistics
  /// Members whose value is infinite; of shares, of what is better the longer and of what is infinite for some
  /// that are finite: members that are lost.
  int lost = 0;
  /// The statistic over drawn members; refers to the records and the reference it was made from.
  std::function<double(std::span<const int>)> statistic;
};

class ScoreTable {
 public:
  /// field: the one that the scores are of, where there are several.
  explicit ScoreTable(const Bootstrap& bootstrap, std::string field = {})
      : bootstrap_(bootstrap), field_(std::move(field)) {}

  /// values: one per member. lost: of them; without it, those whose value is infinite.
  void add(MetricInfo info, std::vector<double> values, std::optional<int> lost = std::nullopt);
  void add_ensemble(MetricInfo info, const Estimate& estimate, int lost,
                    std::function<double(std::span<const int>)> statistic);
  std::vector<Score> take() { return std::move(scores_); }

 private:
  MetricInfo named(MetricInfo info) const;

  const Bootstrap& bootstrap_;
  std::string field_;
  std::vector<Score> scores_;
};

}  // namespace sns::metrics
