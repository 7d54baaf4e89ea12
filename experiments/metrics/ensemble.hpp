#pragma once
// Forecasts of several members from one initial condition, against the truth: CRPS, spread and skill.
#include "experiments/metrics/distribution.hpp"
#include "experiments/metrics/score_table.hpp"

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

/// CRPS of a distribution as a forecast of single values: integral of (F(z) - [z >= y])^2 dz. Within the bins
/// of Distribution, values in units of its scale.
class DistributionCrps {
 public:
  explicit DistributionCrps(const Distribution& forecast);
  double operator()(double y) const;

 private:
  std::vector<double> below_,
      above_;  ///< at bin edges: integrals of F^2 from the left, (1 - F)^2 from the right
};

/// One initial condition: scores of frames 0, 1, .., in units of truth's standard deviation.
struct EnsembleRecord {
  std::vector<double> crps, variance, squared_error;
};

/// Scores of one field over frames 1..steps (all that the records have, if fewer): `crps` and, where the
/// records have variances, the spread-skill ratio sqrt((M + 1) / M sum variance / sum squared error), which is
/// 1 where truth is like a further member.
std::vector<Score> ensemble_scores(std::span<const EnsembleRecord> records, int members, std::int64_t steps,
                                   const Bootstrap& bootstrap, const std::string& field = {});

}  // namespace sns::metrics
