#pragma once
// Distribution of pixel values, gathered in a stream, and the 1-Wasserstein distance between two of them.
#include <cstdint>
#include <span>
#include <vector>

namespace sns::metrics {

/// Cumulative counts on a fine fixed grid: at the bin edges the empirical distribution function is exact.
/// Values are standardised by (centre, scale) first; the grid spans [-kReach, kReach] standard units, and
/// what lies beyond enters through its exact mean excess.
class Distribution {
 public:
  static constexpr int kBins = 8192;
  static constexpr double kReach = 16;

  /// centre and scale: truth's mean and standard deviation; scale > 0.
  Distribution(double centre, double scale);
  void add(std::span<const float> values);  ///< finite values
  void add(const Distribution& other);      ///< of equal centre and scale
  std::int64_t count() const { return count_; }

  /// Integral of |F - G| (the 1-D Wasserstein-1 distance), in units of `scale`; trapezoidal between bin
  /// edges, O(bin width^2). Beyond the grid both tails are compared by their mean excess, which is exact
  /// unless the two distribution functions cross there. Infinite if either is empty.
  friend double wasserstein1(const Distribution& a, const Distribution& b);
  /// Probability density in standard units on `bins` equal bins over [-kReach, kReach]; bins divides kBins.
  std::vector<double> density(int bins) const;

 private:
  double centre_, scale_;
  std::vector<std::int64_t> bins_;
  std::int64_t count_ = 0, below_ = 0, above_ = 0;
  double excess_below_ = 0, excess_above_ = 0;  // sums of distances beyond the grid
};

}  // namespace sns::metrics
