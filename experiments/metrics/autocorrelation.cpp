#include "experiments/metrics/autocorrelation.hpp"

#include <cmath>
#include <limits>

namespace sns::metrics {

Autocorrelation::Autocorrelation(std::size_t pixels, int lags)
    : ring_(static_cast<Eigen::Index>(pixels), lags + 1),
      usable_(static_cast<std::size_t>(lags) + 1, 0),
      sums_(static_cast<std::size_t>(lags) + 1, 0.0),
      pairs_(static_cast<std::size_t>(lags) + 1, 0) {
  ring_.setZero();
}

void Autocorrelation::add(std::span<const float> frame, bool usable) {
  const auto length = static_cast<std::int64_t>(usable_.size());
  const std::int64_t slot = frames_ % length;
  if (usable) {
    // Double until the norm is known: a diverging member reaches values whose squares overflow float.
    const Eigen::VectorXd values =
        Eigen::Map<const Eigen::VectorXf>(frame.data(), static_cast<Eigen::Index>(frame.size())).cast<double>();
    const double mean = values.mean();
    const double norm = (values.array() - mean).matrix().norm();
    usable = norm > 0 && std::isfinite(norm);
    if (usable) unit_ = ((values.array() - mean) / norm).cast<float>();
  }
  usable_[static_cast<std::size_t>(slot)] = usable;
  if (usable) {
    ring_.col(slot) = unit_;
    products_.noalias() = ring_.transpose() * unit_;
    for (std::int64_t lag = 0; lag < length && lag <= frames_; ++lag) {
      const auto earlier = static_cast<std::size_t>((slot - lag + length) % length);
      if (!usable_[earlier]) continue;
      sums_[static_cast<std::size_t>(lag)] +=
          static_cast<double>(products_[static_cast<Eigen::Index>(earlier)]);
      ++pairs_[static_cast<std::size_t>(lag)];
    }
  }
  ++frames_;
}

std::vector<double> Autocorrelation::result() const {
  std::vector<double> curve(sums_.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < curve.size(); ++i)
    if (pairs_[i] > 0) curve[i] = sums_[i] / static_cast<double>(pairs_[i]);
  return curve;
}

double first_crossing(std::span<const double> curve, double level) {
  for (std::size_t i = 1; i < curve.size(); ++i)
    if (curve[i] <= level && curve[i - 1] > level)
      return static_cast<double>(i - 1) + (curve[i - 1] - level) / (curve[i - 1] - curve[i]);
  return static_cast<double>(curve.size()) - 1;
}

double autocorrelation_error(std::span<const double> curve, std::span<const double> truth) {
  const auto last = static_cast<std::size_t>(std::ceil(first_crossing(truth, 0.0)));
  double sum = 0;
  for (std::size_t i = 0; i <= last; ++i) sum += std::abs(curve[i] - truth[i]);
  return std::isnan(sum) ? std::numeric_limits<double>::infinity() : sum / static_cast<double>(last + 1);
}

}  // namespace sns::metrics
