#pragma once
#include "emulator/diffusion/noise_source.hpp"
#include "emulator/diffusion/path.hpp"

#include <span>

namespace sns {

/// Noise of reverse steps that has a covariance of its own, in place of white noise of the schedule's strength.
class ReverseNoise {
 public:
  virtual ~ReverseNoise() = default;
  /// Turns white noise of variance 1, the C*n*n values of one frame, into what a step adds to `frame`. at: the
  /// level that each frame is stepped at, or was left at where it rests. One thread at a time.
  virtual void shape(const Levels& at, Frame frame, std::span<float> z) const = 0;
};

}  // namespace sns
