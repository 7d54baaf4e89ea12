#pragma once
// Distances between two samples of points, for quantities that have a value per frame.
#include <cstddef>
#include <span>
#include <vector>

namespace sns::metrics {

/// 1-Wasserstein distance between two samples of numbers, of any sizes: the integral of |F - G|. Infinite if
/// either is empty.
double wasserstein1(std::vector<double> a, std::vector<double> b);

/// A sample of points that others are compared with, by Euclidean distance. What depends on it alone is
/// computed once. All estimates are V-statistics (a point is its own neighbour): never negative, zero for equal
/// samples, and biased upwards by the scatter of finite samples, which an independent sample of the same size
/// shows too.
class PointCloud {
 public:
  /// points: [point][dimension]; at least two different points.
  PointCloud(std::vector<double> points, std::size_t dimension);
  std::size_t dimension() const { return dimension_; }
  std::size_t size() const { return points_.size() / dimension_; }
  /// Median distance between points that differ: the length scale of the kernel.
  double bandwidth() const { return bandwidth_; }

  /// Square root of 2 E|X - Y| - E|X - X'| - E|Y - Y'|, X from `points`, Y from this sample (Szekely and Rizzo
  /// 2013). Infinite for an empty sample, or one with a value that is not finite.
  double energy_distance(std::span<const double> points) const;
  /// Maximum mean discrepancy, the square root of E k(X, X') - 2 E k(X, Y) + E k(Y, Y'), for
  /// k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)) (Gretton et al. 2012). At most sqrt 2. Infinite as above.
  double maximum_mean_discrepancy(std::span<const double> points) const;

 private:
  bool usable(std::span<const double> points) const;

  std::vector<double> points_;
  std::size_t dimension_;
  double bandwidth_ = 0;
  double own_distance_ = 0, own_kernel_ = 0;  // means over all pairs
};

}  // namespace sns::metrics
