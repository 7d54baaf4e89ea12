#include "experiments/metrics/ensemble.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sns::metrics {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

}  // namespace

EnsembleScore score_ensemble(std::span<const std::span<const float>> members, std::span<const float> truth) {
  const std::size_t count = members.size();
  require(count >= 2, "an ensemble of {} members has no spread", count);
  const auto m = static_cast<double>(count);
  EnsembleScore sum{0, 0, 0};
  std::vector<double> x(count);
  for (std::size_t p = 0; p < truth.size(); ++p) {
    const double y = truth[p];
    double mean = 0, absolute = 0;
    for (std::size_t e = 0; e < count; ++e) {
      x[e] = members[e][p];
      mean += x[e] / m;
      absolute += std::abs(x[e] - y) / m;
    }
    // Of sorted values, sum over pairs |x_e - x_f| = sum over e (2 e + 1 - M) x_e; NaN sorts anywhere, and
    // stays.
    std::sort(x.begin(), x.end());
    double pairs = 0, squares = 0;
    for (std::size_t e = 0; e < count; ++e) {
      pairs += (2 * static_cast<double>(e) + 1 - m) * x[e];
      squares += (x[e] - mean) * (x[e] - mean);
    }
    sum.crps += absolute - pairs / (m * (m - 1));
    sum.variance += squares / (m - 1);
    sum.squared_error += (mean - y) * (mean - y);
  }
  const auto points = static_cast<double>(truth.size());
  if (!std::isfinite(sum.squared_error)) return {std::nan(""), std::nan(""), std::nan("")};
  return {sum.crps / points, sum.variance / points, sum.squared_error / points};
}

DistributionCrps::DistributionCrps(const Distribution& forecast) {
  constexpr int kBins = Distribution::kBins;
  const double width = 2 * Distribution::kReach / kBins;
  const std::vector<double> density = forecast.density(kBins);
  std::vector<double> cumulative(kBins + 1, 0.0);
  for (int i = 0; i < kBins; ++i)
    cumulative[static_cast<std::size_t>(i) + 1] =
        cumulative[static_cast<std::size_t>(i)] + density[static_cast<std::size_t>(i)] * width;
  below_.assign(kBins + 1, 0.0);
  above_.assign(kBins + 1, 0.0);
  const auto square = [](double v) { return v * v; };
  for (std::size_t i = 0; i < kBins; ++i)
    below_[i + 1] = below_[i] + width * (square(cumulative[i]) + square(cumulative[i + 1])) / 2;
  for (std::size_t i = kBins; i-- > 0;)
    above_[i] = above_[i + 1] + width * (square(1 - cumulative[i]) + square(1 - cumulative[i + 1])) / 2;
}

double DistributionCrps::operator()(double y) const {
  constexpr double kLast = Distribution::kBins;
  const double place = std::clamp((y + Distribution::kReach) / (2 * Distribution::kReach) * kLast, 0.0, kLast);
  const auto at = std::min(static_cast<std::size_t>(place), below_.size() - 2);
  const double part = place - static_cast<double>(at);
  return (1 - part) * (below_[at] + above_[at]) + part * (below_[at + 1] + above_[at + 1]);
}

std::vector<Score> ensemble_scores(std::span<const EnsembleRecord> records, int members, std::int64_t steps,
                                   const Bootstrap& bootstrap, const std::string& field) {
  ScoreTable table(bootstrap, field);
  const auto last = static_cast<std::size_t>(
      std::min<std::int64_t>(steps, static_cast<std::int64_t>(records[0].crps.size()) - 1));
  // Means over the frames; NaN where a member was not finite in one of them.
  const auto mean_over_time = [last](const std::vector<double>& series) {
    double sum = 0;
    for (std::size_t t = 1; t <= last; ++t) sum += series[t] / static_cast<double>(last);
    return sum;
  };
  std::vector<double> crps, variance, error;
  for (const EnsembleRecord& record : records) {
    crps.push_back(mean_over_time(record.crps));
    if (std::isnan(crps.back())) crps.back() = kInfinite;
    if (record.variance.empty()) continue;
    variance.push_back(mean_over_time(record.variance));
    error.push_back(mean_over_time(record.squared_error));
  }
  table.add({"crps", "early", "Fair CRPS of the ensemble", "std"}, std::move(crps));
  if (variance.empty()) return table.take();
  const auto lost =
      static_cast<int>(std::count_if(error.begin(), error.end(), [](double v) { return std::isnan(v); }));
  const double finite_size = (members + 1.0) / members;
  const auto ratio = [variance, error, finite_size](std::span<const int> drawn) {
    double spread = 0, skill = 0;
    for (const int m : drawn) {
      spread += variance[static_cast<std::size_t>(m)];
      skill += error[static_cast<std::size_t>(m)];
    }
    return std::sqrt(finite_size * spread / skill);
  };
  table.add_ensemble({"spread_skill", "early", "Spread / skill of the ensemble", "", Better::near_one},
                     bootstrap.estimate(ratio), lost, ratio);
  return table.take();
}

}  // namespace sns::metrics
