#include "experiments/metrics/distribution.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sns::metrics {
namespace {
constexpr double kWidth = 2 * Distribution::kReach / Distribution::kBins;
}

Distribution::Distribution(double centre, double scale) : centre_(centre), scale_(scale), bins_(kBins, 0) {
  require(scale > 0 && std::isfinite(scale) && std::isfinite(centre),
          "a distribution needs a finite centre and a positive scale, got {} and {}", centre, scale);
}

void Distribution::add(std::span<const float> values) {
  const double factor = 1 / scale_;
  for (const float value : values) {
    const double x = (static_cast<double>(value) - centre_) * factor;
    if (x < -kReach) {
      ++below_;
      excess_below_ += -kReach - x;
    } else if (x >= kReach) {
      ++above_;
      excess_above_ += x - kReach;
    } else {
      // The sum may round to the end of the last bin.
      ++bins_[std::min(static_cast<std::size_t>((x + kReach) / kWidth), bins_.size() - 1)];
    }
  }
  count_ += static_cast<std::int64_t>(values.size());
}

void Distribution::add(const Distribution& other) {
  require(other.centre_ == centre_ && other.scale_ == scale_, "distributions on different grids");
  for (std::size_t i = 0; i < bins_.size(); ++i) bins_[i] += other.bins_[i];
  count_ += other.count_;
  below_ += other.below_;
  above_ += other.above_;
  excess_below_ += other.excess_below_;
  excess_above_ += other.excess_above_;
}

double wasserstein1(const Distribution& a, const Distribution& b) {
  require(a.centre_ == b.centre_ && a.scale_ == b.scale_, "distributions on different grids");
  if (a.count_ == 0 || b.count_ == 0) return std::numeric_limits<double>::infinity();
  const auto na = static_cast<double>(a.count_), nb = static_cast<double>(b.count_);
  std::int64_t sum_a = a.below_, sum_b = b.below_;
  double previous = static_cast<double>(sum_a) / na - static_cast<double>(sum_b) / nb;
  double area = std::abs(a.excess_below_ / na - b.excess_below_ / nb) +
                std::abs(a.excess_above_ / na - b.excess_above_ / nb);
  for (std::size_t i = 0; i < a.bins_.size(); ++i) {
    sum_a += a.bins_[i];
    sum_b += b.bins_[i];
    const double next = static_cast<double>(sum_a) / na - static_cast<double>(sum_b) / nb;
    const double p = std::abs(previous), q = std::abs(next);
    // Where F - G changes sign inside the bin, the area is that of two triangles.
    area += kWidth * (previous * next >= 0 ? (p + q) / 2 : (p * p + q * q) / (2 * (p + q)));
    previous = next;
  }
  return area;
}

std::vector<double> Distribution::density(int bins) const {
  require(bins > 0 && kBins % bins == 0, "{} bins do not divide {}", bins, kBins);
  std::vector<double> result(static_cast<std::size_t>(bins), 0.0);
  if (count_ == 0) return result;
  const int group = kBins / bins;
  const double weight = 1 / (static_cast<double>(count_) * kWidth * group);
  for (int i = 0; i < kBins; ++i)
    result[static_cast<std::size_t>(i / group)] +=
        weight * static_cast<double>(bins_[static_cast<std::size_t>(i)]);
  return result;
}

}  // namespace sns::metrics
