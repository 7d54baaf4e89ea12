#pragma once
// Order statistics and the cluster bootstrap over initial conditions.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace sns::metrics {

/// A value with its confidence interval. NaN: undefined. Infinities are values like any other.
struct Estimate {
  double value, low, high;
};

/// Quantile 0 <= p <= 1 of unsorted values by linear interpolation between order statistics; infinite where
/// it touches an infinite one. NaN if `values` is empty or holds a NaN.
double quantile(std::vector<double> values, double p);
double median(std::vector<double> values);
double mean(std::span<const double> values);
/// Of the values themselves (divided by their number).
double standard_deviation(std::span<const double> values);
/// Quantile of the standard normal distribution, 0 < p < 1.
double normal_quantile(double p);
/// Slope of the least-squares line through (x, y); NaN for fewer than two points.
double slope(std::span<const double> x, std::span<const double> y);

/// Fewest clusters that have a bootstrap interval. It lies within the range of their values, which holds the
/// median with probability 1 - 2^(1 - n): of four 87 %, of five 94 %, of two a half.
inline constexpr int kFewestForInterval = 4;

/// Percentile bootstrap with initial conditions as clusters: all frames of a drawn member come along.
/// The draws depend on (seed, members) alone, so methods with the same members share them: differences
/// between methods are paired.
class Bootstrap {
 public:
  /// resamples >= 1 draws of `members` members with replacement; 0 < confidence < 1.
  Bootstrap(std::uint64_t seed, int members, int resamples, double confidence);

  int members() const { return members_; }
  /// statistic(indices): computed for all members once and for every draw. NaN results of draws are left
  /// out; if the value itself or more than half of the draws is NaN, or there are fewer members than
  /// kFewestForInterval, the interval is NaN.
  Estimate estimate(const std::function<double(std::span<const int>)>& statistic) const;
  Estimate of_median(std::span<const double> per_member) const;
  /// Share of members for which something holds (values 0 to 1). Wilson's score interval: the bootstrap of a
  /// share of 0 or 1 would have no width however few the members.
  Estimate of_share(std::span<const double> per_member) const;

 private:
  int members_;
  double confidence_;
  std::vector<int> draws_;  // [resample][member]
};

}  // namespace sns::metrics
