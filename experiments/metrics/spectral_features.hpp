#pragma once
// Frames as points, so that the distributions of whole frames can be compared.
#include "experiments/metrics/member_record.hpp"
#include "experiments/metrics/spectrum_error.hpp"
#include "experiments/metrics/two_sample.hpp"

#include <optional>
#include <span>
#include <vector>

namespace sns::metrics {

/// What a frame looks like in few numbers: ln E(k) at the compared wavenumbers, each in units of its standard
/// deviation over truth's frames, and truth's sampled frames as points in that space.
class SpectralFeatures {
 public:
  SpectralFeatures() = default;
  /// Of the sampled frames of all truth members. Where truth's frames do not scatter at some k, as in a toy,
  /// that k is left out; without any other, or with a single frame, there is nothing to compare with:
  /// `empty()`.
  SpectralFeatures(std::span<const MemberRecord> truth, const ShellMask& mask);
  bool empty() const { return !truth_; }
  const PointCloud& truth() const { return *truth_; }
  /// [frame][bin] spectra as points; not finite where an energy is not positive.
  std::vector<double> points(std::span<const double> spectra) const;

 private:
  std::size_t bins_ = 0;              // of a whole spectrum
  std::vector<std::size_t> used_;     // bins
  std::vector<double> mean_, scale_;  // of ln E over truth's frames, per used bin
  std::optional<PointCloud> truth_;
};

}  // namespace sns::metrics
