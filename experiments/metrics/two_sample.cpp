#include "experiments/metrics/two_sample.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sns::metrics {
namespace {

double squared_distance(const double* a, const double* b, std::size_t dimension) {
  double sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// Mean over all pairs of f(squared distance).
template <class F>
double mean_over_pairs(std::span<const double> a, std::span<const double> b, std::size_t dimension,
                       const F& f) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); i += dimension)
    for (std::size_t j = 0; j < b.size(); j += dimension) sum += f(squared_distance(&a[i], &b[j], dimension));
  return sum * static_cast<double>(dimension) / static_cast<double>(a.size()) * static_cast<double>(dimension) /
         static_cast<double>(b.size());
}

double distance(double squared) {
  return std::sqrt(squared);
}

auto gaussian(double bandwidth) {
  return [factor = -0.5 / (bandwidth * bandwidth)](double squared) { return std::exp(factor * squared); };
}

double median_distance(std::span<const double> points, std::size_t dimension) {
  std::vector<double> distances;
  for (std::size_t i = 0; i < points.size(); i += dimension)
    for (std::size_t j = i + dimension; j < points.size(); j += dimension)
      if (const double squared = squared_distance(&points[i], &points[j], dimension); squared > 0)
        distances.push_back(squared);
  require(!distances.empty(), "a sample whose points are the same has no length scale");
  const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  return std::sqrt(*middle);
}

}  // namespace

double wasserstein1(std::vector<double> a, std::vector<double> b) {
  if (a.empty() || b.empty()) return std::numeric_limits<double>::infinity();
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const auto na = static_cast<double>(a.size()), nb = static_cast<double>(b.size());
  double area = 0, previous = std::min(a.front(), b.front());
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    const bool from_a = j == b.size() || (i < a.size() && a[i] <= b[j]);
    const double next = from_a ? a[i] : b[j];
    area += std::abs(static_cast<double>(i) / na - static_cast<double>(j) / nb) * (next - previous);
    previous = next;
    ++(from_a ? i : j);
  }
  return area;
}

PointCloud::PointCloud(std::vector<double> points, std::size_t dimension)
    : points_(std::move(points)), dimension_(dimension) {
  require(dimension_ > 0 && points_.size() % dimension_ == 0 && size() >= 2 && usable(points_),
          "{} numbers are no sample of finite points of dimension {}", points_.size(), dimension_);
  bandwidth_ = median_distance(points_, dimension_);
  own_distance_ = mean_over_pairs(points_, points_, dimension_, distance);
  own_kernel_ = mean_over_pairs(points_, points_, dimension_, gaussian(bandwidth_));
}

bool PointCloud::usable(std::span<const double> points) const {
  require(points.size() % dimension_ == 0, "{} numbers are no points of dimension {}", points.size(),
          dimension_);
  return !points.empty() &&
         std::all_of(points.begin(), points.end(), [](double v) { return std::isfinite(v); });
}

double PointCloud::energy_distance(std::span<const double> points) const {
  if (!usable(points)) return std::numeric_limits<double>::infinity();
  const double squared = 2 * mean_over_pairs(points, points_, dimension_, distance) -
                         mean_over_pairs(points, points, dimension_, distance) - own_distance_;
  return std::sqrt(std::max(squared, 0.0));
}

double PointCloud::maximum_mean_discrepancy(std::span<const double> points) const {
  if (!usable(points)) return std::numeric_limits<double>::infinity();
  const auto kernel = gaussian(bandwidth_);
  const double squared = mean_over_pairs(points, points, dimension_, kernel) -
                         2 * mean_over_pairs(points, points_, dimension_, kernel) + own_kernel_;
  return std::sqrt(std::max(squared, 0.0));
}

}  // namespace sns::metrics
