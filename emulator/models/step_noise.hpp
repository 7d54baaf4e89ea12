#pragma once
#include "core/random.hpp"
#include "emulator/models/field_covariance.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace sns {

/// Noise that is added to what a surrogate predicts.
struct StepNoise {
  double white = 0;                                   ///< standard deviation of white noise, normalised units
  std::optional<ColouredNoise> error = std::nullopt;  ///< instead: noise like the error of a step
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::emulator_noise;

  bool none() const { return white == 0 && !error; }
  /// predictions [B, C, n, n] of the frames of `step` of these trajectories, and noise; as they are where there
  /// is none. A trajectory gets the same noise alone and in any batch, on every device.
  torch::Tensor add(const torch::Tensor& predictions, std::span<const std::int64_t> trajectories,
                    std::int64_t step) const;
};

}  // namespace sns
