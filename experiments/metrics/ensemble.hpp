#pragma once
// Forecasts of several members from one initial condition, against the truth: CRPS, spread and skill.
#include "experiments/metrics/score_table.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sns::metrics {

/// Member e = 1, 2, .. of the ensemble of trajectory `id` has the id kEnsembleStride e + id: one of its own, so
/// that whatever is random is drawn anew.
inline constexpr std::int64_t kEnsembleStride = 1'000'000'000;

/// Means over the points of a field, of M >= 2 forecasts x_e of y.
struct EnsembleScore {
  double crps;      ///< fair: mean |x_e - y| - sum over pairs |x_e - x_f| / (M (M - 1)), as M were infinite
  double variance;  ///< of the members, unbiased
  double squared_error;  ///< of their mean
};
/// NaN in all where a value is not finite.
EnsembleScore score_ensemble(std::span<const std::span<const float>> members, std::span<const float> truth);

/// Fair CRPS, mean over the points of a field, of one ensemble that forecasts every frame alike: what other
/// runs have at each point is what there can be.
class ClimatologyCrps {
 public:
  /// frames: [member][point], at least 2 members.
  ClimatologyCrps(std::vector<float> frames, std::size_t points);
  double operator()(std::span<const float> truth) const;

 private:
  std::vector<float> frames_;
  double pairs_ = 0;  ///< the part of the score that is the ensemble's own
};

/// One initial condition: scores of frames 0, 1, .., in units of truth's standard deviation.
struct EnsembleRecord {
  std::vector<double> crps, variance, squared_error;
};

/// Scores of one field over the first window of `window` steps, or the `steps` of the ensembles where they are
/// fewer, which labels say then: `crps` and, where the records have variances, the error of the ensemble's mean
/// and the spread-skill ratio sqrt((M + 1) / M sum variance / sum squared error), which is 1 where truth is
/// like a further member.
std::vector<Score> ensemble_scores(std::span<const EnsembleRecord> records, int members, std::int64_t window,
                                   std::int64_t steps, const Bootstrap& bootstrap,
                                   const std::string& field = {});

}  // namespace sns::metrics
