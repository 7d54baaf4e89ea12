#pragma once
// Streaming autocorrelation of frames.
#include <Eigen/Core>

#include <cstdint>
#include <span>
#include <vector>

namespace sns::metrics {

/// C(tau) = mean over t of <x_t - m_t, x_{t+tau} - m_{t+tau}> / (|x_t - m_t| |x_{t+tau} - m_{t+tau}|), m the
/// spatial mean of the frame (SNS paper, Fig. 5 caption), for tau = 0..lags frames. Keeps the last lags + 1
/// frames; one matrix-vector product per frame.
class Autocorrelation {
 public:
  /// pixels per frame; lags >= 0.
  Autocorrelation(std::size_t pixels, int lags);
  /// The next frame; one that is not finite or has no variance takes part in no pair.
  void add(std::span<const float> frame, bool usable);
  /// C(tau), lags + 1 values; NaN where there was no pair.
  std::vector<double> result() const;

 private:
  Eigen::MatrixXf ring_;  // unit vectors, one column per frame
  std::vector<std::uint8_t> usable_;
  Eigen::VectorXf unit_, products_;
  std::vector<double> sums_;
  std::vector<std::int64_t> pairs_;
  std::int64_t frames_ = 0;
};

/// First lag, linearly interpolated, at which `curve` falls to `level`; the last lag if it never does.
double first_crossing(std::span<const double> curve, double level);

/// Mean of |curve - truth| over the lags from 0 to truth's first zero (or the last lag); NaN values make it
/// infinite.
double autocorrelation_error(std::span<const double> curve, std::span<const double> truth);

}  // namespace sns::metrics
