#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace sns {

/// The scales of which a surrogate knows nothing: shells round(|k|) > 0 in which its step errs by at least as
/// much as a frame changes, so that no step at all would be nearer. There a rollout accumulates what networks
/// make of their own rounding and noise, in a resolved flow many times what frames have. Given the power of the
/// data's frames they keep that; the phases are whatever they are.
class UnpredictedScales {
 public:
  /// Mean squares of error, change and frame by channel and shell, float64 [C, shells] with the shells of
  /// half_spectrum(). Error where shapes differ or values are not finite.
  UnpredictedScales(const torch::Tensor& error, const torch::Tensor& change, const torch::Tensor& frame);
  /// frames [B, C, n, n] of any device, in the units of the powers -> the same, each such shell with the power
  /// that it has in the data. One without anything stays so; other shells keep their bits but for rounding in
  /// the sum.
  torch::Tensor operator()(const torch::Tensor& frames) const;
  /// Their numbers for each channel, in ascending order.
  const std::vector<std::vector<std::int64_t>>& shells() const { return shells_; }
  bool empty() const;

 private:
  torch::Tensor target_;  ///< float64 [C, shells]; NaN where the shell is the surrogate's
  std::vector<std::vector<std::int64_t>> shells_;
};

}  // namespace sns
