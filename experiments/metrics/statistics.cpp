#include "experiments/metrics/statistics.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace sns::metrics {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

std::vector<double> pick(std::span<const double> values, std::span<const int> indices) {
  std::vector<double> picked(indices.size());
  std::transform(indices.begin(), indices.end(), picked.begin(),
                 [&](int i) { return values[static_cast<std::size_t>(i)]; });
  return picked;
}

}  // namespace

double quantile(std::vector<double> values, double p) {
  if (values.empty() || std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); }))
    return kUndefined;
  std::sort(values.begin(), values.end());
  const double position = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double fraction = position - static_cast<double>(below);
  // Without this branch 0 * inf and inf - inf would turn an infinite order statistic into NaN.
  if (fraction == 0 || values[below] == values[below + 1]) return values[below];
  if (std::isinf(values[below])) return std::isinf(values[below + 1]) ? kUndefined : values[below];
  return values[below] + fraction * (values[below + 1] - values[below]);
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

double mean(std::span<const double> values) {
  if (values.empty()) return kUndefined;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  const double centre = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double slope(std::span<const double> x, std::span<const double> y) {
  if (x.size() < 2 || x.size() != y.size()) return kUndefined;
  const double x_mean = mean(x), y_mean = mean(y);
  double xy = 0, xx = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - x_mean) * (y[i] - y_mean);
    xx += (x[i] - x_mean) * (x[i] - x_mean);
  }
  return xy / xx;
}

Bootstrap::Bootstrap(std::uint64_t seed, int members, int resamples, double confidence)
    : members_(members), confidence_(confidence) {
  require(members > 0 && resamples > 0, "a bootstrap needs members and resamples, got {} and {}", members,
          resamples);
  draws_.reserve(static_cast<std::size_t>(members) * static_cast<std::size_t>(resamples));
  for (int b = 0; b < resamples; ++b) {
    RandomStream stream(seed, Purpose::bootstrap, static_cast<std::uint64_t>(members),
                        static_cast<std::uint64_t>(b));
    for (int m = 0; m < members; ++m)
      draws_.push_back(static_cast<int>(stream.below(static_cast<std::uint64_t>(members))));
  }
}

Estimate Bootstrap::estimate(const std::function<double(std::span<const int>)>& statistic) const {
  std::vector<int> all(static_cast<std::size_t>(members_));
  std::iota(all.begin(), all.end(), 0);
  Estimate result{statistic(all), kUndefined, kUndefined};
  if (std::isnan(result.value) || members_ < kFewestForInterval) return result;
  const auto width = static_cast<std::size_t>(members_);
  const std::size_t resamples = draws_.size() / width;
  std::vector<double> values;
  values.reserve(resamples);
  for (std::size_t b = 0; b < resamples; ++b) {
    const double v = statistic(std::span(draws_).subspan(b * width, width));
    if (!std::isnan(v)) values.push_back(v);
  }
  if (2 * values.size() < resamples) return result;
  result.low = quantile(values, (1 - confidence_) / 2);
  result.high = quantile(std::move(values), (1 + confidence_) / 2);
  return result;
}

Estimate Bootstrap::of_median(std::span<const double> per_member) const {
  return estimate([&](std::span<const int> members) { return median(pick(per_member, members)); });
}

Estimate Bootstrap::of_share(std::span<const double> per_member) const {
  const double share = mean(per_member), n = members_;
  const double z = normal_quantile((1 + confidence_) / 2);
  const double centre = (share + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {share, std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace sns::metrics
