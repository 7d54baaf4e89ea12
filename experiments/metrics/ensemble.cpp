#include "experiments/metrics/ensemble.hpp"

#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace sns::metrics {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// Sum over pairs |x_e - x_f| / (M (M - 1)) of M sorted values: sum over e (2 e + 1 - M) x_e, as NaN sorts
/// anywhere, and stays.
double pair_distance(std::span<const double> sorted) {
  const auto m = static_cast<double>(sorted.size());
  double sum = 0;
  for (std::size_t e = 0; e < sorted.size(); ++e) sum += (2 * static_cast<double>(e) + 1 - m) * sorted[e];
  return sum / (m * (m - 1));
}

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
    std::sort(x.begin(), x.end());
    double squares = 0;
    for (const double value : x) squares += (value - mean) * (value - mean);
    sum.crps += absolute - pair_distance(x);
    sum.variance += squares / (m - 1);
    sum.squared_error += (mean - y) * (mean - y);
  }
  const auto points = static_cast<double>(truth.size());
  if (!std::isfinite(sum.squared_error)) return {std::nan(""), std::nan(""), std::nan("")};
  return {sum.crps / points, sum.variance / points, sum.squared_error / points};
}

ClimatologyCrps::ClimatologyCrps(std::vector<float> frames, std::size_t points) : frames_(std::move(frames)) {
  const std::size_t count = frames_.size() / points;
  require(count >= 2, "a climatology of {} frames has no distribution", count);
  std::vector<double> x(count);
  for (std::size_t p = 0; p < points; ++p) {
    for (std::size_t e = 0; e < count; ++e) x[e] = frames_[e * points + p];
    std::sort(x.begin(), x.end());
    pairs_ += pair_distance(x) / static_cast<double>(points);
  }
}

double ClimatologyCrps::operator()(std::span<const float> truth) const {
  double sum = 0;
  for (std::size_t begin = 0; begin < frames_.size(); begin += truth.size())
    for (std::size_t p = 0; p < truth.size(); ++p)
      sum += std::abs(static_cast<double>(frames_[begin + p]) - static_cast<double>(truth[p]));
  return sum / static_cast<double>(frames_.size()) - pairs_;
}

std::vector<Score> ensemble_scores(std::span<const EnsembleRecord> records, int members, std::int64_t window,
                                   std::int64_t steps, const Bootstrap& bootstrap, const std::string& field) {
  ScoreTable table(bootstrap, field);
  const auto last = static_cast<std::size_t>(std::min(window, steps));
  const std::string part = steps < window ? fmt::format(", first {} steps", steps) : "";
  // Means over the frames; NaN where a member was not finite in one of them.
  const auto mean_over_time = [last](const std::vector<double>& series) {
    double sum = 0;
    for (std::size_t t = 1; t <= last; ++t) sum += series[t] / static_cast<double>(last);
    return sum;
  };
  const auto or_lost = [](double value) { return std::isnan(value) ? kInfinite : value; };
  std::vector<double> crps, variance, error, error_of_mean;
  for (const EnsembleRecord& record : records) {
    crps.push_back(or_lost(mean_over_time(record.crps)));
    if (record.variance.empty()) continue;
    variance.push_back(mean_over_time(record.variance));
    error.push_back(mean_over_time(record.squared_error));
    std::vector<double> roots = record.squared_error;
    for (double& value : roots) value = std::sqrt(value);
    error_of_mean.push_back(or_lost(mean_over_time(roots)));
  }
  table.add({"crps", "early", "Fair CRPS of the ensemble" + part, "std"}, std::move(crps));
  if (variance.empty()) return table.take();
  table.add({"ensemble_nrmse", "early", "nRMSE of the ensemble's mean" + part, ""}, std::move(error_of_mean));
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
  table.add_ensemble({"spread_skill", "early", "Spread / skill of the ensemble" + part, "", Better::near_one},
                     bootstrap.estimate(ratio), lost, ratio);
  return table.take();
}

}  // namespace sns::metrics
