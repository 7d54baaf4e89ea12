#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace sns {

/// The scales that a surrogate does not predict: shells round(|k|) > 0 in which its step errs by at least as
/// much as a frame changes, so that the frame before is as near. There a rollout accumulates what networks make
/// of their own noise, in a resolved flow many times what frames have. Given the power of the data's frames
/// they keep that; the phases are whatever they are. Emptied they have nothing, as by a filter with these
/// edges.
class UnpredictedScales {
 public:
  /// Mean squares of error, change and frame by channel and shell, float64 [C, shells] with the shells of
  /// half_spectrum(points). Error where shapes differ or values are not finite.
  UnpredictedScales(const torch::Tensor& error, const torch::Tensor& change, const torch::Tensor& frame,
                    std::int64_t points);
  /// The same for frames on a device.
  UnpredictedScales to(torch::Device device) const;
  /// frames [B, C, n, n], float32, in the units of the powers -> the same, each such shell with the power that
  /// it has in the data, as far as float32 carries: a shell with less than about 1e-7 of the frame's root mean
  /// square has what rounding leaves. One without anything stays so; other shells change by the rounding of a
  /// sum.
  torch::Tensor operator()(const torch::Tensor& frames) const;
  /// Their numbers for each channel, in ascending order.
  const std::vector<std::vector<std::int64_t>>& shells() const { return shells_; }
  /// Whether the surrogate predicts something in every shell.
  bool none() const;
  /// The same scales without power.
  UnpredictedScales emptied() const;

 private:
  std::int64_t points_;
  torch::Tensor target_;  ///< float64 [C, shells]; NaN where the shell is the surrogate's
  torch::Tensor shell_;   ///< of each mode of the half spectrum
  torch::Tensor shares_;  ///< float64 [modes, shells]: part of a mode's square that the shell's mean square has
  std::vector<std::vector<std::int64_t>> shells_;
};

}  // namespace sns
